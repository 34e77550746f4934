//! Choices of the advantage and of the policy loss, under verl's names where it has them.

use serde::{Deserialize, Serialize};

/// How a group's rewards become advantages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AdvEstimator {
    /// Reward minus the group's mean, over its standard deviation if `norm_adv_by_std`; without that, Dr. GRPO's.
    #[default]
    Grpo,
    /// Reward minus the mean of the others.
    Rloo,
    /// Rewards of 0 and 1 only: 1 for the right ones, the wrong ones are left out.
    Psr,
    /// Rewards of 0 and 1 only: −1 for the wrong ones, the right ones are left out.
    Nsr,
    /// Rewards of 0 and 1 only: −1 for the wrong ones, `positive_weight` for the right ones.
    WReinforce,
}

/// What the loss of a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LossMode {
    /// PPO's clipped ratio of the token, with the dual clip.
    #[default]
    Vanilla,
    /// GSPO: the ratio of the sequence, exp of the mean log ratio of its tokens, clipped.
    Gspo,
    /// REAL: a loss over the mean log ratios of a group's right and wrong trajectories.
    Real,
    /// CISPO: −clip(ratio) · advantage · logprob, the clipped ratio taken as a constant.
    Cispo,
}

/// How the losses of tokens become one number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LossAggMode {
    /// Mean over all tokens of the mini-batch.
    #[default]
    TokenMean,
    /// Mean over sequences of the sum over tokens.
    SeqMeanTokenSum,
    /// Mean over sequences of the mean over tokens.
    SeqMeanTokenMean,
    /// Mean over sequences of the sum over tokens, over `loss_scale_factor`.
    SeqMeanTokenSumNorm,
}

/// Choices of the advantage and of the policy loss.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ObjectiveConfig {
    /// How rewards become advantages.
    pub adv_estimator: AdvEstimator,
    /// Divide advantages by the group's standard deviation.
    pub norm_adv_by_std: bool,
    /// Advantage of a right answer under [`AdvEstimator::WReinforce`].
    pub positive_weight: f64,
    /// What the loss of a token is.
    pub loss_mode: LossMode,
    /// Temperature of [`LossMode::Real`], > 0.
    pub real_tau: f64,
    /// How tokens are averaged; not those of [`LossMode::Real`], which is a mean over groups.
    pub loss_agg_mode: LossAggMode,
    /// Divisor of [`LossAggMode::SeqMeanTokenSumNorm`], tokens.
    pub loss_scale_factor: f64,
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
            adv_estimator: AdvEstimator::default(),
            norm_adv_by_std: true,
            positive_weight: 0.1,
            loss_mode: LossMode::default(),
            real_tau: 0.5,
            loss_agg_mode: LossAggMode::default(),
            loss_scale_factor: 1024.0,
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
        range("objective.positive_weight", self.positive_weight, 0.0..1e6)?;
        range("objective.real_tau", self.real_tau, 1e-3..1e6)?;
        range("objective.loss_scale_factor", self.loss_scale_factor, 1.0..1e9)?;
        range("objective.clip_ratio_low", self.clip_ratio_low, 0.0..1.0)?;
        range("objective.clip_ratio_high", self.clip_ratio_high, 0.0..1e6)?;
        range("objective.clip_ratio_c", self.clip_ratio_c, 1.0..1e6)?;
        range("objective.kl_loss_coef", self.kl_loss_coef, 0.0..1e6)?;
        range("objective.entropy_coef", self.entropy_coef, -1e6..1e6)
    }
}
