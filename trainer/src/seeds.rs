//! Seeds and choices that depend on names only, never on arrival order or a clock.

use sha2::{Digest, Sha256};

/// H(parts): a seed from an unambiguous encoding of its parts.
#[must_use]
pub fn derive(parts: &[&str]) -> u64 {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part.as_bytes());
    }
    let digest = hash.finalize();
    u64::from_le_bytes(digest[..8].try_into().expect("a SHA-256 digest has 32 bytes"))
}

/// A small generator for shuffles and bootstraps (SplitMix64). Not for sampling tokens.
///
/// # Source
/// Steele, Lea, Flood: Fast splittable pseudorandom number generators, OOPSLA 2014.
#[derive(Debug, Clone)]
pub struct SplitMix {
    state: u64,
}

impl SplitMix {
    /// A generator that yields the same numbers for the same seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// The next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number in `0..bound` (`bound` > 0), by multiplication; the bias is below `bound` / 2^64.
    pub fn below(&mut self, bound: usize) -> usize {
        let wide = u128::from(self.next_u64()) * bound as u128;
        (wide >> 64) as usize
    }

    /// Fisher–Yates.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}

/// Which `keep` of `len` items to keep, ascending; all of them if `keep` >= `len`.
#[must_use]
pub fn choose(len: usize, keep: usize, seed: u64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..len).collect();
    if keep < len {
        SplitMix::new(seed).shuffle(&mut order);
        order.truncate(keep);
        order.sort_unstable();
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splitmix_matches_its_published_sequence() {
        // First outputs for seed 1234567, as listed on Rosetta Code for this generator.
        let mut random = SplitMix::new(1_234_567);
        let found: Vec<u64> = (0..5).map(|_| random.next_u64()).collect();
        let expected = [
            6457827717110365317,
            3203168211198807973,
            9817491932198370423,
            4593380528125082431,
            16408922859458223821,
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn parts_do_not_run_into_each_other() {
        assert_ne!(derive(&["ab", "c"]), derive(&["a", "bc"]));
        assert_ne!(derive(&["ab"]), derive(&["ab", ""]));
        assert_eq!(derive(&["run", "1"]), derive(&["run", "1"]));
    }

    #[test]
    fn a_choice_is_a_sorted_subset_and_depends_on_the_seed_only() {
        assert_eq!(choose(3, 5, 1), [0, 1, 2]);
        let once = choose(100, 10, 7);
        assert_eq!(once, choose(100, 10, 7));
        assert_ne!(once, choose(100, 10, 8));
        assert!(once.windows(2).all(|pair| pair[0] < pair[1]) && once.len() == 10);
    }
}
