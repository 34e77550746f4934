//! What an update takes and gives.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use svs_engine::{EngineError, WeightSet};

use super::{RolloutCorrection, SkippedStep};
use crate::objective::{Advantage, ObjectiveConfig};
use crate::optim::OptimConfig;
use crate::trajectory::Group;

/// One group to train on.
#[derive(Debug, Clone)]
pub struct UpdateGroup {
    /// Its members.
    pub group: Group,
    /// Reward of each member; `None` masks it out of the statistics and of the loss.
    pub rewards: Vec<Option<f64>>,
    /// Advantages to use instead of those of the rewards, one per member, if a recipe shapes them; `None` leaves one out.
    pub advantages: Option<Vec<Option<Advantage>>>,
}

/// Whole groups for one update, in the order in which they are to be used.
#[derive(Debug, Clone, Default)]
pub struct UpdateBatch {
    /// The groups.
    pub groups: Vec<UpdateGroup>,
    /// Weights of the KL reference; needed if `kl_loss_coef` is not 0.
    pub reference: Option<Arc<WeightSet>>,
}

/// How to turn a batch into optimizer steps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct UpdateConfig {
    /// Advantage and loss.
    pub objective: ObjectiveConfig,
    /// What is done about rows that are not exactly on-policy.
    pub correction: RolloutCorrection,
    /// Optimizer.
    pub optim: OptimConfig,
    /// Groups of one optimizer step; a rest becomes a step of its own.
    pub mini_batch_groups: usize,
    /// Tokens (prompt and response) of one forward and backward; a longer sequence goes alone.
    pub micro_batch_tokens: usize,
    /// Passes over the batch.
    pub epochs: usize,
    /// Shuffle the groups with this seed before each pass; `None` keeps the order given.
    pub shuffle_seed: Option<u64>,
    /// Rows sampled more than so many versions ago are masked and counted as `stale`.
    pub max_staleness: u64,
    /// Largest |rescored − recorded logprob| of an exact on-policy token, nats; more stops the update. 0: the same bits.
    pub parity_tolerance: f64,
    /// Optimizer steps that may be skipped; one more ends the update.
    pub max_skipped_steps: u64,
}

impl Default for UpdateConfig {
    fn default() -> Self {
        Self {
            objective: ObjectiveConfig::default(),
            correction: RolloutCorrection::default(),
            optim: OptimConfig::default(),
            mini_batch_groups: 256,
            micro_batch_tokens: 4096,
            epochs: 1,
            shuffle_seed: None,
            max_staleness: 8,
            parity_tolerance: 0.0,
            max_skipped_steps: u64::MAX,
        }
    }
}

/// What an update did.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct UpdateReport {
    /// Optimizer steps taken.
    pub steps: u64,
    /// Optimizer steps skipped because logits, the loss or the norm of the gradient were not finite.
    pub skipped_steps: u64,
    /// What those were made of.
    pub skipped: Vec<SkippedStep>,
    /// Rows the loss reached.
    pub rows: u64,
    /// Tokens the loss reached.
    pub tokens: u64,
    /// Rows left out of loss and statistics, by reason: `no_reward`, `greedy`, `aborted`, `stale`, `no_tokens`.
    pub masked: BTreeMap<String, u64>,
    /// Version of the parameters afterwards; unchanged if no step was taken.
    pub version: u64,
    /// Metrics by name, e.g. `actor/pg_loss`, `rollout_corr/log_ppl_abs_diff`.
    pub metrics: BTreeMap<String, f64>,
}

impl UpdateConfig {
    /// Checks the ranges.
    ///
    /// # Errors
    /// [`PolicyError::Config`].
    pub fn validate(&self) -> Result<(), PolicyError> {
        let named = |(field, reason)| PolicyError::Config { field, reason };
        self.objective.validate().map_err(named)?;
        if let Some(fault) = self.correction.faults().into_iter().next() {
            return Err(named(fault));
        }
        self.optim.validate().map_err(named)?;
        for (field, value) in [
            ("mini_batch_groups", self.mini_batch_groups),
            ("micro_batch_tokens", self.micro_batch_tokens),
            ("epochs", self.epochs),
        ] {
            if value == 0 {
                return Err(PolicyError::Config {
                    field,
                    reason: "must be at least 1".into(),
                });
            }
        }
        if !(self.parity_tolerance >= 0.0 && self.parity_tolerance.is_finite()) {
            let reason = format!("{} is not a finite number of at least 0", self.parity_tolerance);
            return Err(PolicyError::Config {
                field: "parity_tolerance",
                reason,
            });
        }
        Ok(())
    }
}

/// Errors of an update or of supervised training. The parameters are as before the failing optimizer step.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// A config value is out of range; `field` is its dotted name.
    #[error("{field}: {reason}")]
    Config {
        /// Dotted name.
        field: &'static str,
        /// What is wrong and what is allowed.
        reason: String,
    },
    /// The batch or an example contradicts itself.
    #[error("{0}")]
    Batch(String),
    /// A first-step identity does not hold: the trainer does not see what the sampler saw.
    #[error("first-step identity violated: {0}")]
    Identity(String),
    /// Supervised training skipped more steps than it may; the reason names the last one's cause.
    #[error("{0}")]
    Skipped(String),
    /// The engine failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
}
