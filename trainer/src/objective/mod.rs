//! Rewards to advantages to per-token derivatives, in f64 over whole groups, on the driver.
//!
//! Knows logprobs, entropies and rewards; knows no tensors, no model and no recipe. The engine back-propagates
//! Σ dL/dlogp·logp + dL/dH·H, so nothing about a loss needs to exist anywhere else.

mod advantage;
mod loss;

#[cfg(test)]
mod tests;

pub use advantage::group_advantages;
pub use loss::{LossOutput, LossRow, LossSums, policy_loss, token_count};
use serde::{Deserialize, Serialize};

/// Choices of the advantage and of the policy loss. Names as in verl where it has them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ObjectiveConfig {
    /// Divide advantages by the group's standard deviation.
    pub norm_adv_by_std: bool,
    /// The ratio is clipped below at 1 minus this.
    pub clip_ratio_low: f64,
    /// The ratio is clipped above at 1 plus this.
    pub clip_ratio_high: f64,
    /// Dual clip: bound of the loss at negative advantages, in multiples of |advantage|; more than 1.
    pub clip_ratio_c: f64,
    /// Coefficient of the k3 KL to the reference; 0 needs no reference.
    pub kl_loss_coef: f64,
    /// Coefficient of the entropy bonus.
    pub entropy_coef: f64,
}

impl Default for ObjectiveConfig {
    fn default() -> Self {
        Self {
            norm_adv_by_std: true,
            clip_ratio_low: 0.2,
            clip_ratio_high: 0.28,
            clip_ratio_c: 3.0,
            kl_loss_coef: 0.0,
            entropy_coef: 0.0,
        }
    }
}

impl ObjectiveConfig {
    /// Checks the ranges.
    ///
    /// # Errors
    /// The dotted name of the first value that is out of range, and what is allowed.
    pub fn validate(&self) -> Result<(), (&'static str, String)> {
        let range = |field, value: f64, allowed: std::ops::Range<f64>| {
            if allowed.contains(&value) {
                Ok(())
            } else {
                Err((field, format!("{value} is not in [{}, {})", allowed.start, allowed.end)))
            }
        };
        range("objective.clip_ratio_low", self.clip_ratio_low, 0.0..1.0)?;
        range("objective.clip_ratio_high", self.clip_ratio_high, 0.0..1e6)?;
        range("objective.clip_ratio_c", self.clip_ratio_c, 1.0..1e6)?;
        range("objective.kl_loss_coef", self.kl_loss_coef, 0.0..1e6)?;
        range("objective.entropy_coef", self.entropy_coef, -1e6..1e6)
    }
}
