//! What the backward must not see: the order of sequences, cuts into micro-batches, shared prompts. Here in f32.

use super::*;

/// Sequences in a drawn order, cut at drawn places: other micro-batches, other packings, other sharing of prompts.
pub(in crate::train) fn drawn(draw: u32) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..sequences().len()).collect();
    order.sort_by(|a, b| uniform(*a, 100 + draw).total_cmp(&uniform(*b, 100 + draw)));
    let mut parts = vec![Vec::new()];
    for (at, sequence) in order.into_iter().enumerate() {
        if at > 0 && uniform(at, 200 + draw) > 0.0 {
            parts.push(Vec::new());
        }
        parts.last_mut().expect("one at least").push(sequence);
    }
    parts
}

/// Every sequence by itself.
pub(in crate::train) fn alone() -> Vec<Vec<usize>> {
    (0..sequences().len()).map(|at| vec![at]).collect()
}

/// What a micro-batch of `count` scored tokens is multiplied by if each of `parts` takes the mean over its own tokens and
/// the mean over micro-batches follows, instead of the mean over all tokens: the mistake that tests of cuts must catch.
pub(in crate::train) fn wrong_divisor(count: usize, parts: usize) -> f64 {
    let tokens: usize = sequences().iter().map(|sequence| sequence.scored.len()).sum();
    tokens as f64 / (count * parts) as f64
}

/// The micro-batches of `parts`; if not `sharing`, a sequence of one token that nothing is scored of stands before each
/// sequence, so that no two of them have a trunk in common.
fn micro_batches(parts: &[Vec<usize>], sharing: bool) -> Vec<Vec<TrainSequence>> {
    let sequences = sequences();
    let wall = |next: &TrainSequence| TrainSequence {
        tokens: vec![(next.tokens[0] + 1) % 50],
        scored: Vec::new(),
        temperature: 1.0,
    };
    let chosen = |at: &usize| {
        let sequence = sequences[*at].clone();
        let before = (!sharing).then(|| wall(&sequence));
        before.into_iter().chain([sequence])
    };
    parts
        .iter()
        .map(|part| part.iter().flat_map(chosen).collect())
        .collect()
}

/// The gradient summed over micro-batches, each multiplied by `factor` of its number of scored tokens.
fn summed(
    weights: &TrainWeights<'_>,
    params: &Params,
    micro_batches: &[Vec<TrainSequence>],
    factor: impl Fn(usize) -> f64,
) -> Params {
    let (mut sum, mut scratch) = (Params::zeros(Arc::clone(&params.layout)), Scratch::default());
    for micro_batch in micro_batches {
        let mut coefficients = coefficients(micro_batch);
        let factor = factor(coefficients.iter().map(Vec::len).sum()) as f32;
        for grad in coefficients.iter_mut().flatten() {
            grad.dlogprob *= factor;
            grad.dentropy *= factor;
        }
        accumulate(weights, micro_batch, &coefficients, &mut sum, &mut scratch).expect("finite");
    }
    sum
}

fn shared(micro_batches: &[Vec<TrainSequence>]) -> usize {
    micro_batches
        .iter()
        .flat_map(|micro_batch| shared_tokens(micro_batch))
        .sum()
}

#[test]
fn in_f32_too_no_cut_order_or_sharing_moves_the_gradient_and_a_wrong_divisor_does() {
    let mut most_shared = 0;
    for family in FAMILIES {
        let config = config(family);
        let params = params(&config);
        let weights = train(&config, &params);
        let whole = summed(&weights, &params, &[sequences()], |_| 1.0);
        for parts in (0..12).map(drawn).chain([alone()]) {
            for sharing in [true, false] {
                let micro_batches = micro_batches(&parts, sharing);
                let rows_shared = shared(&micro_batches);
                assert!(
                    sharing || rows_shared == 0,
                    "{parts:?}: {rows_shared} tokens are shared"
                );
                most_shared = most_shared.max(rows_shared);
                let apart = distance(&summed(&weights, &params, &micro_batches, |_| 1.0), &whole);
                assert!(apart <= 1e-5, "{family:?} {parts:?}, sharing {sharing}: {apart:e}");
                let wrong = |count| wrong_divisor(count, parts.len());
                let apart = distance(&summed(&weights, &params, &micro_batches, wrong), &whole);
                assert!(
                    parts.len() == 1 || apart > 1e-3,
                    "{family:?} {parts:?}, sharing {sharing}: {apart:e} with a wrong divisor"
                );
            }
        }
    }
    assert!(most_shared > 0, "no draw put sequences of one family side by side");
}
