//! AdamW over the flat parameter arena, gradient clipping and learning-rate schedules.
//!
//! Knows arenas of f32; knows no model, loss or batch.

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
