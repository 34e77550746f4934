//! METEOR of two texts by words and stems.
//!
//! # Source
//! A. Lavie and A. Agarwal, "Meteor: An Automatic Metric for MT Evaluation with High Levels of Correlation with Human
//! Judgments", 2007: the weights of its harmonic mean and of its penalty are those that `nltk` has by default.

use std::collections::HashMap;

/// Weight of precision in the harmonic mean.
const ALPHA: f64 = 0.9;
/// Exponent and weight of the share of runs that stay together.
const BETA: i32 = 3;
const GAMMA: f64 = 0.5;

/// The measure of an input beside a reference, both as numbers of words; `stems` are numbers of the stems of these.
pub(crate) fn meteor(reference: &[u32], input: &[u32], stems: &[u32]) -> f64 {
    let mut partners: Vec<Option<usize>> = vec![None; input.len()];
    let mut taken = vec![false; reference.len()];
    let stem = |word: u32| stems.get(word as usize).copied().unwrap_or(word);
    align(reference, input, &mut partners, &mut taken, |word| word);
    align(reference, input, &mut partners, &mut taken, stem);
    let pairs: Vec<(usize, usize)> = (0..)
        .zip(partners)
        .filter_map(|(at, partner)| Some((at, partner?)))
        .collect();
    if pairs.is_empty() {
        return 0.0;
    }
    let matched = pairs.len() as f64;
    let (precision, recall) = (matched / input.len() as f64, matched / reference.len() as f64);
    let mean = precision * recall / (ALPHA * precision + (1.0 - ALPHA) * recall);
    let together = |pair: &[(usize, usize)]| pair[1].0 == pair[0].0 + 1 && pair[1].1 == pair[0].1 + 1;
    let chunks = 1 + pairs.windows(2).filter(|pair| !together(pair)).count();
    let penalty = GAMMA * (chunks as f64 / matched).powi(BETA);
    (1.0 - penalty) * mean
}

/// Pairs words that are the same by `key`: from the end, each with the last one of the other side that is left.
fn align(
    reference: &[u32],
    input: &[u32],
    partners: &mut [Option<usize>],
    taken: &mut [bool],
    key: impl Fn(u32) -> u32,
) {
    let mut places: HashMap<u32, Vec<usize>> = HashMap::new();
    for (at, word) in reference.iter().enumerate().filter(|(at, _)| !taken[*at]) {
        places.entry(key(*word)).or_default().push(at);
    }
    for (at, word) in input.iter().enumerate().rev() {
        if partners[at].is_none() {
            partners[at] = places.get_mut(&key(*word)).and_then(Vec::pop);
        }
    }
    for at in partners.iter().flatten() {
        taken[*at] = true;
    }
}
