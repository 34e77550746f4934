//! Group-relative advantages.

/// Added to the standard deviation.
const EPSILON: f64 = 1e-6;

/// Advantage of each member of one group from its reward; `None` stays `None` and is not part of the statistics.
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
