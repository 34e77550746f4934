//! Advantages, policy loss, and how a batch becomes optimizer steps.

use serde::{Deserialize, Serialize};

use super::TrainConfig;
use crate::objective::ObjectiveConfig;
use crate::policy::UpdateConfig;

/// `[algorithm]`: verl's names.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AlgorithmConfig {
    /// Divide centred rewards by the group's unbiased standard deviation.
    pub norm_adv_by_std_in_grpo: bool,
    /// Lower clip: ratios below `1 - clip_ratio_low` do not push further.
    pub clip_ratio_low: f64,
    /// Upper clip: ratios above `1 + clip_ratio_high` do not push further.
    pub clip_ratio_high: f64,
    /// Dual clip for negative advantages, > 1.
    pub clip_ratio_c: f64,
    /// Coefficient of the KL term against the weights the run started from; 0 holds no reference.
    pub kl_loss_coef: f64,
    /// Coefficient of the entropy bonus.
    pub entropy_coeff: f64,
    /// Drop solving groups that are all right or all wrong.
    pub filter_groups: bool,
    /// Groups of an optimizer step.
    pub ppo_mini_batch_size: usize,
    /// Tokens (prompt and response) of one forward and backward.
    pub ppo_max_token_len: usize,
    /// Shuffle whole groups (seeded by run and step) before they are cut into mini-batches.
    pub shuffle_groups: bool,
    /// Largest difference between the logprob recorded at sampling and the trainer's own, nats; more stops the run.
    pub parity_tolerance: f64,
    /// Passes over the batch.
    pub ppo_epochs: u32,
}

impl Default for AlgorithmConfig {
    fn default() -> Self {
        Self {
            norm_adv_by_std_in_grpo: true,
            clip_ratio_low: 0.2,
            clip_ratio_high: 0.28,
            clip_ratio_c: 3.0,
            kl_loss_coef: 0.0,
            entropy_coeff: 0.0,
            filter_groups: true,
            ppo_mini_batch_size: 256,
            ppo_max_token_len: 4096,
            shuffle_groups: true,
            parity_tolerance: 1e-5,
            ppo_epochs: 1,
        }
    }
}

impl TrainConfig {
    /// The update of `step`.
    #[must_use]
    pub fn update(&self, step: u64) -> UpdateConfig {
        let algorithm = &self.algorithm;
        let shuffle = crate::seeds::derive(&["shuffle", &self.seed.to_string(), &step.to_string()]);
        UpdateConfig {
            objective: ObjectiveConfig {
                norm_adv_by_std: algorithm.norm_adv_by_std_in_grpo,
                clip_ratio_low: algorithm.clip_ratio_low,
                clip_ratio_high: algorithm.clip_ratio_high,
                clip_ratio_c: algorithm.clip_ratio_c,
                kl_loss_coef: algorithm.kl_loss_coef,
                entropy_coef: algorithm.entropy_coeff,
            },
            optim: self.optim.clone(),
            mini_batch_groups: algorithm.ppo_mini_batch_size,
            micro_batch_tokens: algorithm.ppo_max_token_len,
            epochs: algorithm.ppo_epochs as usize,
            shuffle_seed: algorithm.shuffle_groups.then_some(shuffle),
            max_staleness: self.trajectories.max_staleness,
            parity_tolerance: algorithm.parity_tolerance,
        }
    }
}
