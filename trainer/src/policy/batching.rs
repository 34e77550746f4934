//! Micro-batches by token budget. The loss's divisor is fixed before, so where the cuts fall does not matter to it.

use std::ops::Range;

use svs_engine::train::{
    Scratch, TokenGrad, TokenScore, TrainSequence, TrainWeights, accumulate, kept_rows, score, shared_tokens,
};
use svs_engine::{EngineError, ModelConfig, Params, WeightSet};

/// Consecutive ranges of at most `budget` tokens; a longer item goes alone.
pub(crate) fn by_tokens(lengths: &[usize], budget: usize) -> Vec<Range<usize>> {
    let (mut ranges, mut start, mut tokens) = (Vec::new(), 0, 0);
    for (i, length) in lengths.iter().enumerate() {
        if i > start && tokens + length > budget {
            ranges.push(start..i);
            (start, tokens) = (i, 0);
        }
        tokens += length;
    }
    if start < lengths.len() {
        ranges.push(start..lengths.len());
    }
    ranges
}

/// As [`by_tokens`], over the tokens that have rows of their own: what a sequence shares with the one before costs nothing.
fn ranges(sequences: &[TrainSequence], budget: usize) -> Vec<Range<usize>> {
    let (mut ranges, mut start, mut rows) = (Vec::new(), 0, 0);
    for (i, (sequence, shared)) in sequences.iter().zip(shared_tokens(sequences)).enumerate() {
        let len = sequence.rows();
        if i > start && rows + len - shared > budget {
            ranges.push(start..i);
            // The first of a micro-batch has nobody to share with.
            (start, rows) = (i, len);
        } else {
            rows += len - shared;
        }
    }
    if start < sequences.len() {
        ranges.push(start..sequences.len());
    }
    ranges
}

/// The micro-batches that [`accumulate_all`] makes of `sequences`.
#[must_use]
pub fn micro_batches(config: &ModelConfig, sequences: &[TrainSequence], budget: usize) -> Vec<Range<usize>> {
    ranges(sequences, budget.min(kept_rows(config).max(1)))
}

/// Forward and backward of all `sequences`, added to `grads`; returns the scores. Micro-batches have at most `budget` tokens
/// in rows of their own, and no more than the engine keeps all activations of. `done` hears how many sequences each took.
///
/// # Errors
/// Those of [`accumulate`].
pub fn accumulate_all(
    weights: &TrainWeights<'_>,
    sequences: &[TrainSequence],
    coefficients: &[Vec<TokenGrad>],
    budget: usize,
    grads: &mut Params,
    mut done: impl FnMut(usize),
) -> Result<Vec<Vec<TokenScore>>, EngineError> {
    let (mut scores, mut scratch) = (Vec::with_capacity(sequences.len()), Scratch::default());
    for range in micro_batches(&weights.set.config, sequences, budget) {
        scores.extend(accumulate(
            weights,
            &sequences[range.clone()],
            &coefficients[range.clone()],
            grads,
            &mut scratch,
        )?);
        done(range.len());
    }
    Ok(scores)
}

/// Forward of all `sequences`; returns their logprobs. `done` is as in [`accumulate_all`].
pub(crate) fn logprobs_all(
    weights: &WeightSet,
    sequences: &[TrainSequence],
    budget: usize,
    mut done: impl FnMut(usize),
) -> Result<Vec<Vec<f32>>, EngineError> {
    let mut logprobs = Vec::with_capacity(sequences.len());
    for range in ranges(sequences, budget) {
        let scores = score(weights, &sequences[range.clone()])?;
        done(range.len());
        logprobs.extend(
            scores
                .into_iter()
                .map(|row| row.into_iter().map(|token| token.logprob).collect()),
        );
    }
    Ok(logprobs)
}
