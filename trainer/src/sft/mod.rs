//! The supervised stage: cross-entropy on target tokens through the same forward and backward as the policy update.

mod conversation;
mod jsonl;
mod stage;

#[cfg(test)]
mod tests;

pub use conversation::{Conversation, visit_conversations};
pub use jsonl::read_jsonl;
use serde::{Deserialize, Serialize};
pub use stage::train;
pub(crate) use stage::{gradients, mean_loss, sequence};

use crate::optim::OptimConfig;
use crate::policy::PolicyError;

/// A prompt and what should follow it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Example {
    /// Tokens without loss; at least one.
    pub prompt: Vec<u32>,
    /// Tokens with loss, EOS included if the model should learn to stop; at least one.
    pub target: Vec<u32>,
}

/// Bounds and hyper-parameters of supervised training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SftConfig {
    /// Optimizer and schedule; `total_steps` is filled in from the data when 0.
    pub optim: OptimConfig,
    /// Tokens (prompt and target) of one optimizer step.
    pub batch_tokens: usize,
    /// Tokens of one forward and backward.
    pub micro_batch_tokens: usize,
    /// Passes over the examples.
    pub epochs: usize,
    /// Stop after so many optimizer steps.
    pub max_steps: Option<u64>,
    /// Examples longer than this are left out and counted.
    pub max_tokens: usize,
    /// Order of the examples in each pass.
    pub seed: u64,
    /// Most steps that may be skipped because logits, the loss or the gradient are not finite; one more ends the training.
    pub max_skipped_steps: u64,
}

impl Default for SftConfig {
    fn default() -> Self {
        Self {
            optim: OptimConfig {
                lr: 1e-5,
                ..OptimConfig::default()
            },
            batch_tokens: 4096,
            micro_batch_tokens: 4096,
            epochs: 1,
            max_steps: None,
            max_tokens: 2048,
            seed: 0,
            max_skipped_steps: 4,
        }
    }
}

/// One optimizer step, as told to the caller.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct SftStep {
    /// Steps done, from 1.
    pub step: u64,
    /// Steps planned.
    pub steps: u64,
    /// Mean cross-entropy of the step's target tokens before it, nats; NaN if the step was skipped for its logits.
    pub loss: f64,
    /// Global gradient norm before clipping; NaN if the step was skipped before there was one.
    pub grad_norm: f64,
    /// Learning rate used.
    pub lr: f64,
    /// Target tokens.
    pub target_tokens: u64,
}

/// What supervised training did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct SftReport {
    /// Steps taken.
    pub steps: u64,
    /// Steps skipped because logits, the loss or the norm of the gradient were not finite.
    pub skipped_steps: u64,
    /// Examples used, counting each pass.
    pub examples: u64,
    /// Examples left out as too long.
    pub too_long: u64,
    /// Target tokens learned from.
    pub target_tokens: u64,
    /// Loss of the first step, nats.
    pub first_loss: f64,
    /// Loss of the last step, nats.
    pub last_loss: f64,
}

/// Whether training goes on after a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// Go on.
    Continue,
    /// Stop here, keep the parameters.
    Stop,
}

impl SftConfig {
    /// Checks the ranges.
    ///
    /// # Errors
    /// [`PolicyError::Config`].
    pub fn validate(&self) -> Result<(), PolicyError> {
        for (field, value) in [
            ("batch_tokens", self.batch_tokens),
            ("micro_batch_tokens", self.micro_batch_tokens),
            ("epochs", self.epochs),
            ("max_tokens", self.max_tokens),
        ] {
            if value == 0 {
                return Err(PolicyError::Config {
                    field,
                    reason: "must be at least 1".into(),
                });
            }
        }
        Ok(())
    }
}
