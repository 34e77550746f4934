//! The learning rate of each step.

use super::{Decay, OptimConfig};

/// Learning rate of the step after `done` steps: rises linearly to `lr` over the warm-up, then decays so that the floor
/// would be reached at `total_steps`.
#[must_use]
pub fn learning_rate(config: &OptimConfig, done: u64) -> f64 {
    if done < config.warmup_steps {
        return config.lr * (done + 1) as f64 / config.warmup_steps as f64;
    }
    let span = config.total_steps.saturating_sub(config.warmup_steps);
    let progress = if span == 0 {
        0.0
    } else {
        ((done - config.warmup_steps) as f64 / span as f64).min(1.0)
    };
    let share = match config.decay {
        Decay::Constant => 1.0,
        Decay::Linear => 1.0 - progress,
        Decay::Cosine => 0.5 * (1.0 + (std::f64::consts::PI * progress).cos()),
    };
    config.lr * (config.min_lr_ratio + (1.0 - config.min_lr_ratio) * share)
}
