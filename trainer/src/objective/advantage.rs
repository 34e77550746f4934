//! From the rewards of a group to the advantages of its members.

use super::{AdvEstimator, ObjectiveConfig};

/// Added to the standard deviation.
const EPSILON: f64 = 1e-6;

/// Rewards that an estimator has no rule for.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("algorithm.adv_estimator = \"{estimator}\" needs rewards of 0 and 1, one is {reward}")]
pub struct AdvantageError {
    /// The estimator as the configuration calls it.
    pub estimator: &'static str,
    /// The reward.
    pub reward: f64,
}

/// Advantage of each member of one group from its reward, by `config.adv_estimator`; members without one are left out of
/// statistics and loss.
///
/// # Errors
/// [`AdvantageError`]: an estimator of right and wrong was given something between.
pub fn advantages(rewards: &[Option<f64>], config: &ObjectiveConfig) -> Result<Vec<Option<f64>>, AdvantageError> {
    let (estimator, right, wrong) = match config.adv_estimator {
        AdvEstimator::Grpo => return Ok(group_advantages(rewards, config.norm_adv_by_std)),
        AdvEstimator::Rloo => return Ok(leave_one_out(rewards)),
        AdvEstimator::Psr => ("psr", Some(1.0), None),
        AdvEstimator::Nsr => ("nsr", None, Some(-1.0)),
        AdvEstimator::WReinforce => ("w_reinforce", Some(config.positive_weight), Some(-1.0)),
    };
    let one = |reward: &Option<f64>| match *reward {
        None => Ok(None),
        Some(1.0) => Ok(right),
        Some(0.0) => Ok(wrong),
        Some(reward) => Err(AdvantageError { estimator, reward }),
    };
    rewards.iter().map(one).collect()
}

/// R − mean of the other rewards, which is (R − mean)·m/(m − 1); the only reward of a group stays as it is.
///
/// # Source
/// RLOO, arXiv 2402.14740.
fn leave_one_out(rewards: &[Option<f64>]) -> Vec<Option<f64>> {
    let present: Vec<f64> = rewards.iter().copied().flatten().collect();
    let (sum, others) = (present.iter().sum::<f64>(), present.len().saturating_sub(1));
    let one = |reward: f64| match others {
        0 => reward,
        others => reward - (sum - reward) / others as f64,
    };
    rewards.iter().map(|reward| reward.map(one)).collect()
}

/// GRPO's advantage of each member of one group from its reward; `None` stays `None` and is not part of the statistics.
///
/// (R − mean) / (std + 1e-6) with the unbiased standard deviation (divisor m − 1) of the m rewards that are there; a
/// group of one has mean 0 and standard deviation 1. Without `by_std` the mean alone is subtracted.
///
/// # Source
/// GRPO, arXiv 2402.03300, section 4.1.2, with the divisor and the epsilon of the SvS experiments.
#[must_use]
pub fn group_advantages(rewards: &[Option<f64>], by_std: bool) -> Vec<Option<f64>> {
    let present: Vec<f64> = rewards.iter().copied().flatten().collect();
    let (mean, std) = match present.len() {
        0 | 1 => (0.0, 1.0),
        m => {
            let mean = present.iter().sum::<f64>() / m as f64;
            let squares: f64 = present.iter().map(|reward| (reward - mean).powi(2)).sum();
            (mean, (squares / (m - 1) as f64).sqrt())
        }
    };
    let scale = if by_std { 1.0 / (std + EPSILON) } else { 1.0 };
    rewards
        .iter()
        .map(|reward| reward.map(|reward| (reward - mean) * scale))
        .collect()
}
