//! Philox4x32-10: a counter-based generator, so a draw depends on key and position only, never on what ran before.

const MULTIPLIERS: [u32; 2] = [0xD251_1F53, 0xCD9E_8D57];
const WEYL: [u32; 2] = [0x9E37_79B9, 0xBB67_AE85];

/// The block of four random words at `counter` under `key`.
///
/// # Source
/// Salmon et al., Parallel random numbers: as easy as 1, 2, 3 (SC 2011).
#[must_use]
pub fn philox4x32_10(mut counter: [u32; 4], mut key: [u32; 2]) -> [u32; 4] {
    for _ in 0..10 {
        let [low0, high0] = split(u64::from(MULTIPLIERS[0]) * u64::from(counter[0]));
        let [low1, high1] = split(u64::from(MULTIPLIERS[1]) * u64::from(counter[2]));
        counter = [high1 ^ counter[1] ^ key[0], low1, high0 ^ counter[3] ^ key[1], low0];
        key = [key[0].wrapping_add(WEYL[0]), key[1].wrapping_add(WEYL[1])];
    }
    counter
}

#[allow(clippy::cast_possible_truncation)] // Both halves are taken.
fn split(word: u64) -> [u32; 2] {
    [word as u32, (word >> 32) as u32]
}

/// Key of one choice of a request: H(seed, choice).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key([u32; 2]);

impl Key {
    /// Mixes `seed` and `choice` so that neighbouring seeds and choices share nothing.
    #[must_use]
    pub fn new(seed: u64, choice: u32) -> Self {
        let [low, high] = split(seed);
        let [a, b, ..] = philox4x32_10([low, high, choice, 0x7376_735f], [choice, 0]);
        Self([a, b])
    }

    /// The uniform number in [0, 1) for the token at absolute `position`.
    #[must_use]
    pub fn uniform(self, position: usize) -> f64 {
        let [low, high] = split(position as u64);
        let [a, b, ..] = philox4x32_10([low, high, 0, 0], self.0);
        let bits = (u64::from(a) << 21) ^ (u64::from(b) >> 11);
        (bits & ((1 << 53) - 1)) as f64 / (1u64 << 53) as f64
    }
}
