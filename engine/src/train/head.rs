//! Final norm, output projection, logprob and entropy, forward and backward, in chunks of rows: logits of a whole
//! micro-batch are never held.

use std::sync::{Mutex, PoisonError};

use super::pack::Target;
use super::{TokenGrad, TokenScore};
use crate::error::EngineError;
use crate::ops::buffer::size;
use crate::ops::gemm::{Panels, View, gemm};
use crate::ops::logsumexp::entropy;
use crate::ops::norm::{rms_norm, rms_norm_backward};
use crate::ops::par::Par;
use crate::ops::simd::multiversion;
use crate::ops::{exp, logsumexp};
use crate::weights::WeightSet;

/// Logits held at once.
const CHUNK_LOGITS: usize = 8 << 20;

/// Rows of a chunk.
pub(super) fn chunk_rows(vocab: usize) -> usize {
    (CHUNK_LOGITS / vocab).clamp(16, 4096)
}

/// The residual stream of the scored rows, `[targets, hidden]`.
pub(super) fn select(hidden: &[f32], width: usize, targets: &[Target]) -> Vec<f32> {
    targets
        .iter()
        .flat_map(|target| &hidden[target.row * width..][..width])
        .copied()
        .collect()
}

/// Scaled logits of a chunk of selected rows, `[rows, vocab]`, into `logits`; returns the normed rows.
fn project(par: Par, weights: &WeightSet, selected: &[f32], targets: &[Target], logits: &mut Vec<f32>) -> Vec<f32> {
    let vocab = weights.config.vocab_size;
    let mut normed = vec![0.0; selected.len()];
    rms_norm(par, selected, &weights.norm, weights.config.rms_norm_eps, &mut normed);
    size(logits, targets.len() * vocab);
    let x = View::rows(&normed, weights.config.hidden_size);
    weights.head.project(par, targets.len(), &x, logits);
    for (row, target) in logits.chunks_exact_mut(vocab).zip(targets) {
        // The sampler's expression: no division at temperature 1.
        if target.temperature != 1.0 {
            row.iter_mut().for_each(|logit| *logit /= target.temperature);
        }
    }
    normed
}

multiversion! {
    /// Replaces scaled logits z by dL/dlogit but for the token's own term: with p = softmax(z), d logp/dz = 1[token] - p
    /// and dH/dz = -p (log p + H), each divided by the temperature.
    fn logit_gradient(row: &mut [f32], coefficient: TokenGrad, entropy: f32, normalizer: f32, inverse: f32) {
        for z in row.iter_mut() {
            let log_p = *z - normalizer;
            *z = -exp(log_p) * (coefficient.dlogprob + coefficient.dentropy * (log_p + entropy)) * inverse;
        }
    }
}

/// Score of one row of scaled logits, and its normaliser. Without finite logits the score is not finite.
fn score_row(row: &[f32], target: Target) -> (TokenScore, f32) {
    let normalizer = logsumexp(row);
    let logprob = row[target.token as usize] - normalizer;
    let entropy = entropy(row, normalizer);
    (TokenScore { logprob, entropy }, normalizer)
}

/// Replaces rows of scaled logits by their gradients; returns their scores.
fn gradients(
    par: Par,
    vocab: usize,
    logits: &mut [f32],
    targets: &[Target],
    coefficients: &[TokenGrad],
) -> Vec<TokenScore> {
    let rows: Vec<Mutex<&mut [f32]>> = logits.chunks_exact_mut(vocab).map(Mutex::new).collect();
    par.collect(targets.len(), |i| {
        let (target, coefficient) = (targets[i], coefficients[i]);
        let mut row = rows[i].lock().unwrap_or_else(PoisonError::into_inner);
        let (score, normalizer) = score_row(&row, target);
        let inverse = 1.0 / target.temperature;
        logit_gradient(&mut row, coefficient, score.entropy, normalizer, inverse);
        row[target.token as usize] += coefficient.dlogprob * inverse;
        score
    })
}

/// The scores, if every logprob is finite.
fn checked(scores: Vec<TokenScore>, targets: &[Target], version: u64) -> Result<Vec<TokenScore>, EngineError> {
    match scores.iter().zip(targets).find(|(score, _)| !score.logprob.is_finite()) {
        Some((_, target)) => Err(EngineError::NonFiniteLogits {
            position: target.row,
            version,
        }),
        None => Ok(scores),
    }
}

/// Scores of the selected rows.
pub(super) fn score(
    par: Par,
    weights: &WeightSet,
    selected: &[f32],
    targets: &[Target],
) -> Result<Vec<TokenScore>, EngineError> {
    let (width, vocab) = (weights.config.hidden_size, weights.config.vocab_size);
    let rows = chunk_rows(vocab);
    let (mut scores, mut logits) = (Vec::with_capacity(targets.len()), Vec::new());
    for (selected, part) in selected.chunks(rows * width).zip(targets.chunks(rows)) {
        project(par, weights, selected, part, &mut logits);
        scores.extend(par.collect(part.len(), |i| score_row(&logits[i * vocab..][..vocab], part[i]).0));
    }
    checked(scores, targets, weights.version)
}

/// Gradients that the head's backward adds to.
pub(super) struct HeadGrads<'a> {
    /// Of the output projection, `[vocab, hidden]`.
    pub(super) head: &'a mut [f32],
    /// Of the final norm's weight.
    pub(super) norm: &'a mut [f32],
}

/// Scores the selected rows and overwrites `d_selected` with the gradient of Σ dlogprob·logp + dentropy·H.
pub(super) fn backward(
    par: Par,
    weights: &WeightSet,
    transposed: &Panels,
    selected: &[f32],
    all_targets: &[Target],
    coefficients: &[TokenGrad],
    grads: HeadGrads<'_>,
    d_selected: &mut [f32],
) -> Result<Vec<TokenScore>, EngineError> {
    let (width, vocab) = (weights.config.hidden_size, weights.config.vocab_size);
    let rows = chunk_rows(vocab);
    let mut scores = Vec::with_capacity(all_targets.len());
    let (mut packed, mut inverse, mut logits) = (Panels::default(), Vec::new(), Vec::new());
    let chunks = selected.chunks(rows * width).zip(d_selected.chunks_mut(rows * width));
    for ((selected, d_selected), (targets, coefficients)) in
        chunks.zip(all_targets.chunks(rows).zip(coefficients.chunks(rows)))
    {
        let normed = project(par, weights, selected, targets, &mut logits);
        scores.extend(gradients(par, vocab, &mut logits, targets, coefficients));
        let mut d_normed = vec![0.0; selected.len()];
        gemm(
            par,
            targets.len(),
            View::rows(&logits, vocab),
            transposed,
            &mut d_normed,
            false,
        );
        packed.refill(par, &normed, width);
        gemm(par, vocab, View::columns(&logits, vocab, 0), &packed, grads.head, true);
        let eps = weights.config.rms_norm_eps;
        rms_norm_backward(
            par,
            selected,
            &weights.norm,
            eps,
            &d_normed,
            d_selected,
            grads.norm,
            &mut inverse,
        );
    }
    checked(scores, all_targets, weights.version)
}
