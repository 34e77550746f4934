//! AdamW over the flat parameter arena, gradient clipping and learning-rate schedules.
//!
//! Knows arenas of f32; knows no model, loss or batch.

mod adamw;
mod schedule;

#[cfg(test)]
mod tests;

pub use adamw::{AdamW, StepReport, global_norm};
pub use schedule::learning_rate;
use serde::{Deserialize, Serialize};

/// How the learning rate goes on after the warm-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decay {
    /// Stays.
    #[default]
    Constant,
    /// Falls linearly to `min_lr_ratio` at the last step.
    Linear,
    /// Falls along half a cosine to `min_lr_ratio` at the last step.
    Cosine,
}

/// AdamW, clipping and schedule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OptimConfig {
    /// Peak learning rate.
    pub lr: f64,
    /// First-moment decay.
    pub beta1: f64,
    /// Second-moment decay.
    pub beta2: f64,
    /// Added to the root of the second moment.
    pub eps: f64,
    /// Decoupled decay per unit of learning rate, on matrices only (not on norms and biases).
    pub weight_decay: f64,
    /// Largest global gradient norm; larger gradients are scaled down to it.
    pub grad_clip: f64,
    /// Steps of linear warm-up.
    pub warmup_steps: u64,
    /// What follows the warm-up.
    pub decay: Decay,
    /// Steps over which `decay` runs; needed unless it is constant.
    pub total_steps: u64,
    /// Floor of the decay as a share of `lr`.
    pub min_lr_ratio: f64,
}

impl Default for OptimConfig {
    fn default() -> Self {
        Self {
            lr: 1e-6,
            beta1: 0.9,
            beta2: 0.999,
            eps: 1e-8,
            weight_decay: 0.01,
            grad_clip: 1.0,
            warmup_steps: 0,
            decay: Decay::Constant,
            total_steps: 0,
            min_lr_ratio: 0.0,
        }
    }
}

impl OptimConfig {
    /// Checks the ranges.
    ///
    /// # Errors
    /// The dotted name of the first value that is out of range, and what is allowed.
    pub fn validate(&self) -> Result<(), (&'static str, String)> {
        let range = |field, value: f64, low: f64, high: f64| {
            if value >= low && value <= high {
                Ok(())
            } else {
                Err((field, format!("{value} is not in [{low}, {high}]")))
            }
        };
        range("optim.lr", self.lr, 0.0, 10.0)?;
        range("optim.beta1", self.beta1, 0.0, 0.999_999)?;
        range("optim.beta2", self.beta2, 0.0, 0.999_999_9)?;
        range("optim.eps", self.eps, 1e-30, 1.0)?;
        range("optim.weight_decay", self.weight_decay, 0.0, 10.0)?;
        range("optim.grad_clip", self.grad_clip, 1e-12, f64::MAX)?;
        range("optim.min_lr_ratio", self.min_lr_ratio, 0.0, 1.0)?;
        if self.decay != Decay::Constant && self.total_steps <= self.warmup_steps {
            let reason = "a decaying learning rate needs more total_steps than warmup_steps";
            return Err(("optim.total_steps", reason.into()));
        }
        Ok(())
    }
}
