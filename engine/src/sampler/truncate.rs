//! Top-k, min-p and top-p as one threshold on the scaled logits: what lies below is cut, ties stay together.

use crate::ops::exp;
use crate::request::SamplingParams;

/// Whether `params` may cut anything.
pub(super) fn cuts(params: &SamplingParams) -> bool {
    params.top_k.is_some() || params.min_p > 0.0 || params.top_p < 1.0
}

/// Below which scaled logits are cut, or `None` if none are. Of top-k and top-p it is the lowest logit kept; of min-p, what
/// the best token's logit allows.
pub(super) fn threshold(scaled: &[f32], params: &SamplingParams) -> Option<f32> {
    if !cuts(params) {
        return None;
    }
    let max = scaled.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut threshold = f32::NEG_INFINITY;
    if let Some(k) = params.top_k.filter(|k| (*k as usize) < scaled.len()) {
        let mut order = scaled.to_vec();
        let (_, kth, _) = order.select_nth_unstable_by(k as usize - 1, |a, b| b.total_cmp(a));
        threshold = *kth;
    }
    if params.min_p > 0.0 {
        threshold = threshold.max(max + params.min_p.ln());
    }
    if params.top_p < 1.0 {
        threshold = threshold.max(nucleus(scaled, max, threshold, params.top_p));
    }
    // A floor that cuts nothing is no truncation; rounding must not cut the best token.
    let threshold = threshold.min(max);
    scaled
        .iter()
        .any(|logit| *logit < threshold && *logit > f32::NEG_INFINITY)
        .then_some(threshold)
}

/// The logit of the last token of the smallest set of best tokens, among those at or above `floor`, that holds `top_p`
/// of their mass.
fn nucleus(scaled: &[f32], max: f32, floor: f32, top_p: f32) -> f32 {
    let mut order: Vec<f32> = scaled
        .iter()
        .copied()
        .filter(|logit| *logit >= floor && logit.is_finite())
        .collect();
    order.sort_unstable_by(|a, b| b.total_cmp(a));
    let mass = |logit: f32| f64::from(exp(logit - max));
    let target = f64::from(top_p) * order.iter().map(|logit| mass(*logit)).sum::<f64>();
    let mut sum = 0.0;
    for logit in order {
        sum += mass(logit);
        if sum >= target {
            return logit;
        }
    }
    floor
}
