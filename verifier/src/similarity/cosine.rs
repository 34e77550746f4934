//! Cosine of the angle between two texts as counts of their words.

use std::collections::HashMap;

/// The measure of two texts as numbers of words, 0 to 1; 0 if one of them has none.
pub(crate) fn cosine(reference: &[u32], input: &[u32]) -> f64 {
    let counts = |words: &[u32]| {
        let mut counts: HashMap<u32, u64> = HashMap::new();
        for word in words {
            *counts.entry(*word).or_default() += 1;
        }
        counts
    };
    let (ours, theirs) = (counts(reference), counts(input));
    let square = |counts: &HashMap<u32, u64>| counts.values().map(|count| count * count).sum::<u64>() as f64;
    let shared: u64 = ours
        .iter()
        .filter_map(|(word, count)| Some(count * theirs.get(word)?))
        .sum();
    let lengths = (square(&ours) * square(&theirs)).sqrt();
    if lengths > 0.0 {
        (shared as f64 / lengths).min(1.0)
    } else {
        0.0
    }
}
