//! Advantages, policy loss, and how a batch becomes optimizer steps.

use serde::{Deserialize, Serialize};

use super::TrainConfig;
use crate::hidden::HiddenShaping;
use crate::objective::{AdvEstimator, LossAggMode, LossMode, ObjectiveConfig, OverlongBuffer};
use crate::policy::{RolloutCorrection, UpdateConfig};
use crate::svs::GroupFilter;
use crate::svs::band::Band;

/// `[algorithm]`: verl's names.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AlgorithmConfig {
    /// `grpo`, `rloo`, or of right and wrong answers only `psr`, `nsr`, `w_reinforce`.
    pub adv_estimator: AdvEstimator,
    /// Divide centred rewards by the group's unbiased standard deviation.
    pub norm_adv_by_std_in_grpo: bool,
    /// Advantage of a right answer under `w_reinforce`.
    pub positive_weight: f64,
    /// `vanilla`, `gspo`, `cispo` or `real`.
    pub loss_mode: LossMode,
    /// Temperature of `real`.
    pub real_tau: f64,
    /// `token-mean`, `seq-mean-token-sum`, `seq-mean-token-mean` or `seq-mean-token-sum-norm`.
    pub loss_agg_mode: LossAggMode,
    /// Divisor of `seq-mean-token-sum-norm`, tokens; `None` takes `rollout.max_response_length` or its default of 1024.
    pub loss_scale_factor: Option<f64>,
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
    /// What is done about rows that are not exactly on-policy.
    pub rollout_correction: RolloutCorrection,
    /// Shapes advantages by the hidden states of the response.
    pub hidden_shaping: HiddenShaping,
    /// Takes from the rewards of long responses.
    pub overlong_buffer: OverlongBuffer,
    /// Drop solving groups whose rewards are all the same or whose accuracy is outside of the two bounds below.
    pub filter_groups: bool,
    /// Least accuracy of a group that stays.
    pub filter_acc_lower: f64,
    /// Greatest accuracy of a group that stays.
    pub filter_acc_upper: f64,
    /// Waves of problems solved until `problems.train_batch_size` groups stay; 1 does not refill.
    pub max_num_gen_batches: u32,
    /// Groups of an optimizer step.
    pub ppo_mini_batch_size: usize,
    /// Tokens (prompt and response) of one forward and backward.
    pub ppo_max_token_len: usize,
    /// Shuffle whole groups (seeded by run and step) before they are cut into mini-batches.
    pub shuffle_groups: bool,
    /// Largest difference between the logprob recorded at sampling and the trainer's own, nats; more stops the run. 0, the
    /// default, asks for the same bits.
    pub parity_tolerance: f64,
    /// Most optimizer steps of the run that may be skipped because logits, the loss or the gradient are not finite; one
    /// more stops it.
    pub max_skipped_steps: u64,
    /// Passes over the batch.
    pub ppo_epochs: u32,
}

impl Default for AlgorithmConfig {
    fn default() -> Self {
        let objective = ObjectiveConfig::default();
        Self {
            adv_estimator: objective.adv_estimator,
            norm_adv_by_std_in_grpo: true,
            positive_weight: objective.positive_weight,
            loss_mode: objective.loss_mode,
            real_tau: objective.real_tau,
            loss_agg_mode: objective.loss_agg_mode,
            loss_scale_factor: None,
            clip_ratio_low: 0.2,
            clip_ratio_high: 0.28,
            clip_ratio_c: 3.0,
            kl_loss_coef: 0.0,
            entropy_coeff: 0.0,
            rollout_correction: RolloutCorrection::default(),
            hidden_shaping: HiddenShaping::default(),
            overlong_buffer: OverlongBuffer::default(),
            filter_groups: true,
            filter_acc_lower: 0.0,
            filter_acc_upper: 1.0,
            max_num_gen_batches: 1,
            ppo_mini_batch_size: 256,
            ppo_max_token_len: 4096,
            shuffle_groups: true,
            parity_tolerance: 0.0,
            max_skipped_steps: 4,
            ppo_epochs: 1,
        }
    }
}

impl TrainConfig {
    /// Which solving groups are trained on; `None`: all.
    #[must_use]
    pub fn group_filter(&self) -> Option<GroupFilter> {
        let band = Band {
            lower: self.algorithm.filter_acc_lower,
            upper: self.algorithm.filter_acc_upper,
        };
        self.algorithm.filter_groups.then_some(GroupFilter { band })
    }

    /// The update of `step`.
    #[must_use]
    pub fn update(&self, step: u64) -> UpdateConfig {
        let algorithm = &self.algorithm;
        let shuffle = crate::seeds::derive(&["shuffle", &self.seed.to_string(), &step.to_string()]);
        UpdateConfig {
            objective: ObjectiveConfig {
                adv_estimator: algorithm.adv_estimator,
                norm_adv_by_std: algorithm.norm_adv_by_std_in_grpo,
                positive_weight: algorithm.positive_weight,
                loss_mode: algorithm.loss_mode,
                real_tau: algorithm.real_tau,
                loss_agg_mode: algorithm.loss_agg_mode,
                loss_scale_factor: algorithm
                    .loss_scale_factor
                    .unwrap_or_else(|| f64::from(self.rollout.max_response_length.unwrap_or(1024))),
                clip_ratio_low: algorithm.clip_ratio_low,
                clip_ratio_high: algorithm.clip_ratio_high,
                clip_ratio_c: algorithm.clip_ratio_c,
                kl_loss_coef: algorithm.kl_loss_coef,
                entropy_coef: algorithm.entropy_coeff,
            },
            correction: algorithm.rollout_correction,
            optim: self.optim.clone(),
            mini_batch_groups: algorithm.ppo_mini_batch_size,
            micro_batch_tokens: algorithm.ppo_max_token_len,
            epochs: algorithm.ppo_epochs as usize,
            shuffle_seed: algorithm.shuffle_groups.then_some(shuffle),
            max_staleness: self.trajectories.max_staleness,
            parity_tolerance: algorithm.parity_tolerance,
            max_skipped_steps: algorithm.max_skipped_steps,
        }
    }
}
