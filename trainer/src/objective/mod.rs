//! Rewards to advantages to per-token derivatives, in f64 over whole groups, on the driver.
//!
//! Knows logprobs, entropies and rewards; knows no tensors, no model and no recipe. The engine back-propagates
//! Σ dL/dlogp·logp + dL/dH·H, so nothing about a loss needs to exist anywhere else.

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
