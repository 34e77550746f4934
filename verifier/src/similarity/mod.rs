//! Measures of how alike two texts are, on numbers that stand for their characters or words.

pub(crate) mod cosine;
pub(crate) mod meteor;
pub(crate) mod ngrams;
pub(crate) mod stem;
pub(crate) mod subsequence;
pub(crate) mod tokens;

/// The harmonic mean of precision and recall.
pub(crate) fn harmonic(shared: u64, input: u64, reference: u64) -> f64 {
    let precision = shared as f64 / input.max(1) as f64;
    let recall = shared as f64 / reference.max(1) as f64;
    if precision + recall > 0.0 {
        2.0 * precision * recall / (precision + recall)
    } else {
        0.0
    }
}
