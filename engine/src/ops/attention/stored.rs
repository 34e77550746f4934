//! How keys and values are stored: f32, or two dimensions in a word.

use crate::ops::gemm::{round_bf16, word_of};

/// What a stored element holds: one dimension in f32, or two in bf16. Widening is exact.
pub(crate) trait Stored: Copy + Default + Send + Sync + 'static {
    /// Dimensions of an element.
    const DIMS: usize;

    /// An element from its dimensions, which lie `step` apart in `values`, rounded to nearest even.
    fn store(values: &[f32], step: usize) -> Self;

    /// 16 elements, one dimension of each: the lower one if `side` is 0.
    fn side(elements: &[Self; 16], side: usize) -> [f32; 16];

    /// As [`Self::side`] of one element.
    fn one(self, side: usize) -> f32;
}

impl Stored for f32 {
    const DIMS: usize = 1;

    #[inline(always)]
    fn store(values: &[f32], _: usize) -> Self {
        values[0]
    }

    #[inline(always)]
    fn side(elements: &[Self; 16], _: usize) -> [f32; 16] {
        *elements
    }

    #[inline(always)]
    fn one(self, _: usize) -> f32 {
        self
    }
}

/// Two dimensions in bf16, the lower one in the lower half. A plain number, so that a zeroed cache stays untouched.
pub(crate) type Pair = u32;

impl Stored for Pair {
    const DIMS: usize = 2;

    #[inline(always)]
    fn store(values: &[f32], step: usize) -> Self {
        word_of(values[0], values[step])
    }

    #[inline(always)]
    fn side(elements: &[Self; 16], side: usize) -> [f32; 16] {
        elements.map(|pair| pair.one(side))
    }

    #[inline(always)]
    fn one(self, side: usize) -> f32 {
        f32::from_bits(if side == 0 { self << 16 } else { self & 0xffff_0000 })
    }
}

/// Rounds keys and values as [`Pair`] stores them.
pub(crate) fn round(values: &mut [f32]) {
    values.iter_mut().for_each(|value| *value = round_bf16(*value));
}
