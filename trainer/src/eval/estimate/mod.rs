//! pass@k and intervals: numbers in, numbers out.

mod interquartile;

use serde::{Deserialize, Serialize};

use crate::seeds::SplitMix;

pub use interquartile::{Interval, interquartile_mean, stratified, stratified_difference};

/// A mean with a 95 % interval from resampling problems.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// Mean over problems.
    pub mean: f64,
    /// 2.5 % quantile of the resampled means.
    pub lower: f64,
    /// 97.5 % quantile.
    pub upper: f64,
    /// Problems it is over.
    pub problems: usize,
}

/// The probability that a draw of `k` from `n` samples without replacement holds one of the `c` correct ones;
/// `None` if `k` is 0 or exceeds `n`: nothing is extrapolated.
///
/// # Source
/// Chen et al., Evaluating Large Language Models Trained on Code, 2021: 1 − C(n−c, k) / C(n, k), as a product.
#[must_use]
pub fn pass_at_k(n: u32, c: u32, k: u32) -> Option<f64> {
    if k == 0 || k > n || c > n {
        return None;
    }
    if n - c < k {
        return Some(1.0);
    }
    let miss: f64 = (n - c + 1..=n).map(|i| 1.0 - f64::from(k) / f64::from(i)).product();
    Some(1.0 - miss)
}

/// The powers of two up to `n`, and `n` itself.
#[must_use]
pub fn ladder(n: u32) -> Vec<u32> {
    let mut ks: Vec<u32> = (0..32).map(|power| 1u32 << power).take_while(|&k| k <= n).collect();
    if ks.last().is_some_and(|&last| last != n) {
        ks.push(n);
    }
    ks
}

/// Mean of `values` (one per problem) and its interval from `resamples` draws of problems with replacement; `None`
/// without values. The same seed gives the same interval.
///
/// # Source
/// Efron, Bootstrap Methods: Another Look at the Jackknife, 1979 (percentile interval).
#[must_use]
pub fn bootstrap(values: &[f64], resamples: usize, seed: u64) -> Option<Estimate> {
    if values.is_empty() {
        return None;
    }
    let mean = |total: f64| total / values.len() as f64;
    let mut random = SplitMix::new(seed);
    let mut means: Vec<f64> = (0..resamples.max(1))
        .map(|_| mean((0..values.len()).map(|_| values[random.below(values.len())]).sum()))
        .collect();
    means.sort_by(f64::total_cmp);
    Some(Estimate {
        mean: mean(values.iter().sum()),
        lower: quantile(&means, 0.025),
        upper: quantile(&means, 0.975),
        problems: values.len(),
    })
}

/// The value of ascending `sorted` that has `share` of them below it.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    sorted[((sorted.len() - 1) as f64 * share).round() as usize]
}

#[cfg(test)]
mod tests;
