//! A small seeded generator of random numbers, so that the same seed writes the same problems everywhere and for ever.

/// SplitMix64.
///
/// # Source
/// Steele, Lea, Flood: Fast splittable pseudorandom number generators, OOPSLA 2014.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rng {
    state: u64,
}

/// The finaliser of SplitMix64: a bijection of 64 bits that hides structure.
#[must_use]
pub fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

impl Rng {
    /// A stream of its own for every pair of seed and purpose.
    #[must_use]
    pub fn new(seed: u64, purpose: u64) -> Self {
        let state = mix(seed.wrapping_add(0x9e37_79b9_7f4a_7c15)) ^ mix(purpose.wrapping_add(0xd1b5_4a32_d192_ed03));
        Self { state }
    }

    /// The next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.state)
    }

    /// A number in `0..bound`; 0 if `bound` is 0. The bias of the multiplication is below 2⁻³² for our bounds.
    pub fn below(&mut self, bound: usize) -> usize {
        let product = u128::from(self.next_u64()) * (bound as u128);
        (product >> 64) as usize
    }

    /// A number in `low..=high`.
    pub fn between(&mut self, low: i64, high: i64) -> i64 {
        let span = usize::try_from(high - low + 1).unwrap_or(1);
        low + i64::try_from(self.below(span)).unwrap_or(0)
    }

    /// True once in `1 / share` draws.
    pub fn chance(&mut self, share: f64) -> bool {
        ((self.next_u64() >> 11) as f64) < share * (1u64 << 53) as f64
    }

    /// One element of a list that is not empty.
    pub fn pick<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        &list[self.below(list.len())]
    }
}
