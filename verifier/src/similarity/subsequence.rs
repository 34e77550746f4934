//! Length of the longest common subsequence, 64 cells of the table at a time (Hyyrö's bit-parallel recurrence).

use std::collections::{HashMap, HashSet};

/// Cells of the table in one word.
const BITS: usize = 64;
/// Words that are computed or cleared for one step.
const WORDS_PER_STEP: u64 = 64;

/// Steps to compare so many tokens with a reference.
pub(crate) fn cost(reference: &[u32], input: usize) -> u64 {
    let distinct = reference.iter().collect::<HashSet<_>>().len();
    let words = reference.len().div_ceil(BITS) as u64;
    let worked = words.saturating_mul((distinct + input) as u64);
    worked.div_ceil(WORDS_PER_STEP) + input as u64 / WORDS_PER_STEP
}

/// Length of the longest common subsequence.
pub(crate) fn common_length(reference: &[u32], input: &[u32]) -> usize {
    let words = reference.len().div_ceil(BITS);
    let mut places: HashMap<u32, Vec<u64>> = HashMap::new();
    for (at, token) in reference.iter().enumerate() {
        places.entry(*token).or_insert_with(|| vec![0; words])[at / BITS] |= 1 << (at % BITS);
    }
    // A cleared bit is a cell in which the subsequence grows by one. Bits beyond the reference are never cleared.
    let mut row = vec![u64::MAX; words];
    for places in input.iter().filter_map(|token| places.get(token)) {
        let mut carry = 0;
        for (cells, places) in row.iter_mut().zip(places) {
            let (sum, first) = cells.overflowing_add(*cells & places);
            let (sum, second) = sum.overflowing_add(carry);
            carry = u64::from(first | second);
            *cells = sum | (*cells & !places);
        }
    }
    row.iter().map(|cells| cells.count_zeros() as usize).sum()
}
