//! log Σ exp over a row: the normaliser of sampling, scoring and training alike.

use super::exp::exp;
use super::simd::multiversion;

/// Partial sums of a row; element `i` belongs to lane `i % LANES`, lanes are folded pairwise at the end.
pub(crate) const LANES: usize = 16;

/// Folds lanes in a fixed tree.
#[inline(always)]
pub(crate) fn fold(mut lanes: [f32; LANES], join: impl Fn(f32, f32) -> f32) -> f32 {
    let mut width = LANES / 2;
    while width > 0 {
        for i in 0..width {
            lanes[i] = join(lanes[i], lanes[i + width]);
        }
        width /= 2;
    }
    lanes[0]
}

multiversion! {
    /// Largest element, -inf for none. NaN elements are passed over.
    pub(crate) fn maximum(row: &[f32]) -> f32 {
        let mut lanes = [f32::NEG_INFINITY; LANES];
        let (chunks, rest) = row.as_chunks::<LANES>();
        for chunk in chunks {
            for i in 0..LANES {
                lanes[i] = lanes[i].max(chunk[i]);
            }
        }
        for (lane, x) in lanes.iter_mut().zip(rest) {
            *lane = lane.max(*x);
        }
        fold(lanes, f32::max)
    }

    /// Σ exp(x - max).
    pub(crate) fn sum_exp(row: &[f32], max: f32) -> f32 {
        let mut lanes = [0.0_f32; LANES];
        let (chunks, rest) = row.as_chunks::<LANES>();
        for chunk in chunks {
            for i in 0..LANES {
                lanes[i] += exp(chunk[i] - max);
            }
        }
        for (lane, x) in lanes.iter_mut().zip(rest) {
            *lane += exp(*x - max);
        }
        fold(lanes, |a, b| a + b)
    }

    /// Σ p log p of a row of finite logits with its normaliser.
    fn mean_logprob(row: &[f32], normalizer: f32) -> f32 {
        let mut lanes = [0.0_f32; LANES];
        let (chunks, rest) = row.as_chunks::<LANES>();
        let term = |logit: f32| exp(logit - normalizer) * (logit - normalizer);
        for chunk in chunks {
            for i in 0..LANES {
                lanes[i] += term(chunk[i]);
            }
        }
        for (lane, logit) in lanes.iter_mut().zip(rest) {
            *lane += term(*logit);
        }
        fold(lanes, |a, b| a + b)
    }
}

/// Entropy of the softmax of a row of finite (scaled) logits with its normaliser, nats; of scoring and training alike.
pub(crate) fn entropy(row: &[f32], normalizer: f32) -> f32 {
    -mean_logprob(row, normalizer)
}

/// log Σ exp(x), nats. The logprob of token `t` at temperature `T` is `scaled[t] - logsumexp(scaled)` with
/// `scaled = logit / T` (no division when `T == 1`); sampler and trainer both compute exactly this.
/// NaN if an element is NaN or +inf, -inf for an empty row or one of -inf only.
#[must_use]
pub fn logsumexp(row: &[f32]) -> f32 {
    let max = maximum(row);
    if max == f32::NEG_INFINITY && !row.iter().any(|x| x.is_nan()) {
        return f32::NEG_INFINITY;
    }
    max + sum_exp(row, max).ln()
}
