//! Sets of tokens as bits: token `id` is bit `id % 32` of word `id / 32`. Tokens beyond the words are not in the set.

/// Takes all probability from the tokens outside `allowed`.
pub(super) fn apply(allowed: &[u32], logits: &mut [f32]) {
    let words = allowed.iter().copied().chain(std::iter::repeat(0));
    for (word, logits) in words.zip(logits.chunks_mut(32)) {
        match word {
            0 => logits.fill(f32::NEG_INFINITY),
            u32::MAX => {}
            word => {
                for (_, logit) in logits.iter_mut().enumerate().filter(|(bit, _)| word >> bit & 1 == 0) {
                    *logit = f32::NEG_INFINITY;
                }
            }
        }
    }
}

/// Whether `allowed` has no token besides `tokens`.
pub(super) fn only(allowed: &[u32], tokens: &[u32]) -> bool {
    let mut distinct: Vec<u32> = tokens.to_vec();
    distinct.sort_unstable();
    distinct.dedup();
    let contained = |token: &&u32| {
        allowed
            .get(**token as usize / 32)
            .is_some_and(|word| word >> (**token % 32) & 1 == 1)
    };
    let count: u32 = allowed.iter().map(|word| word.count_ones()).sum();
    count as usize == distinct.iter().filter(contained).count()
}
