//! One query row against the blocks of its sequence, the query heads of a key/value head together.
#![allow(unsafe_code)]

use super::super::exp::exp;
use super::super::logsumexp::{LANES, maximum};
use super::super::simd::{fetch, multiversion};
use super::AttentionShape;
use super::kv::{BLOCK_TOKENS, Kv, piece};
use super::stored::{Pair, Stored};

const _: () = assert!(LANES == BLOCK_TOKENS, "a block is one vector of scores");

/// Elements of a cache line, in f32 or in words.
const LINE: usize = 16;

/// Query heads that go through a block at once.
const HEADS: usize = 4;

/// `COUNT` blocks and `N` heads at once, so that their chains overlap: scores[h][c] = Σ_d q[h][d] · keys[c][d], d in
/// order.
#[inline(always)]
fn dots<T: Stored, const N: usize, const COUNT: usize>(
    queries: [&[f32]; N],
    keys: [&[T]; COUNT],
    ahead: [*const T; COUNT],
) -> [[[f32; BLOCK_TOKENS]; COUNT]; N] {
    let mut sums = [[[0.0_f32; BLOCK_TOKENS]; COUNT]; N];
    let rows = queries[0].len() / T::DIMS;
    // Of known length, so that the loop has no checks.
    let keys = keys.map(|keys| &keys.as_chunks::<BLOCK_TOKENS>().0[..rows]);
    let queries = queries.map(|q| &q[..rows * T::DIMS]);
    for d in 0..rows {
        // What a head reads lies in pieces of a few kilobytes, at each of which the machine's own prefetching begins anew.
        for at in ahead {
            fetch(at.wrapping_add(d * BLOCK_TOKENS));
        }
        for side in 0..T::DIMS {
            for c in 0..COUNT {
                let row = T::side(&keys[c][d], side);
                for h in 0..N {
                    let x = queries[h][d * T::DIMS + side];
                    for i in 0..BLOCK_TOKENS {
                        sums[h][c][i] = x.mul_add(row[i], sums[h][c][i]);
                    }
                }
            }
        }
    }
    sums
}

/// [`dots`] of all `blocks`, `out` being `[N, blocks, 16]`; asks for `then` while it works on the last ones.
#[inline(always)]
fn all_dots<'k, T: Stored, const N: usize>(
    queries: [&[f32]; N],
    blocks: usize,
    keys: impl Fn(usize) -> &'k [T],
    then: *const T,
    out: &mut [f32],
) {
    let ahead = |block: usize| if block < blocks { keys(block).as_ptr() } else { then };
    let out = out.as_chunks_mut::<BLOCK_TOKENS>().0;
    let mut block = 0;
    while block + 1 < blocks {
        let sums = dots(
            queries,
            [keys(block), keys(block + 1)],
            [ahead(block + 2), ahead(block + 3)],
        );
        for h in 0..N {
            out[h * blocks + block] = sums[h][0];
            out[h * blocks + block + 1] = sums[h][1];
        }
        block += 2;
    }
    if block < blocks {
        let sums = dots(queries, [keys(block)], [then]);
        for h in 0..N {
            out[h * blocks + block] = sums[h][0];
        }
    }
}

/// Where a row finds its keys and values.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a, T: Stored> {
    pub(super) kv: &'a Kv<'a, T>,
    pub(super) layer: usize,
    pub(super) head: usize,
    /// The blocks of positions 0 to `position`.
    pub(super) blocks: &'a [u32],
    /// First visible position.
    pub(super) first: usize,
    /// The row's own position, the last one visible.
    pub(super) position: usize,
}

impl<'a, T: Stored> Place<'a, T> {
    /// Blocks with visible positions.
    fn visible(&self) -> &'a [u32] {
        &self.blocks[self.first / BLOCK_TOKENS..]
    }

    /// Visible slots of visible block `i`. Others may hold anything, NaN included.
    #[inline(always)]
    fn slots(&self, i: usize) -> std::ops::Range<usize> {
        let origin = (self.first / BLOCK_TOKENS + i) * BLOCK_TOKENS;
        self.first.saturating_sub(origin)..BLOCK_TOKENS.min(self.position + 1 - origin)
    }

    /// Raw scores of `N` heads, `[N, blocks, 16]`.
    #[inline(always)]
    fn scores<const N: usize>(&self, queries: [&[f32]; N], out: &mut [f32]) {
        let blocks = self.visible();
        // SAFETY: whoever made the place promised that nobody writes the blocks.
        let keys = |i: usize| unsafe { self.kv.keys(blocks[i], self.layer, self.head) };
        // SAFETY: as above.
        let then = unsafe { self.kv.values(blocks[0], self.layer, self.head) }.as_ptr();
        all_dots(queries, blocks.len(), keys, then, out);
    }

    /// out[h] = Σ_j weights[h][j] · values[j], positions in order; `weights` is `[N, blocks, 16]`, `out` `[N, head_dim]`.
    #[inline(always)]
    fn mix<const N: usize>(&self, weights: &[f32], out: &mut [f32]) {
        let dim = out.len() / N;
        let mut first = 0;
        while first < dim {
            first += match dim - first {
                64.. => self.columns::<N, 64>(weights, first, out),
                rest if piece(rest) == 32 => self.columns::<N, 32>(weights, first, out),
                rest if piece(rest) == 16 => self.columns::<N, 16>(weights, first, out),
                _ => self.columns::<N, 2>(weights, first, out),
            };
        }
    }

    /// What is read after the values of the visible blocks before `i`: those of block `i`, else the next head's keys.
    #[inline(always)]
    fn after(&self, i: usize) -> *const T {
        let blocks = self.visible();
        match blocks.get(i) {
            // SAFETY: as in `scores`.
            Some(block) => unsafe { self.kv.values(*block, self.layer, self.head) }.as_ptr(),
            None => {
                // SAFETY: as in `scores`.
                let keys = unsafe { self.kv.keys(blocks[0], self.layer, self.head) };
                keys.as_ptr().wrapping_add(keys.len())
            }
        }
    }

    /// `WIDTH` dimensions from `first` on: whole pieces.
    #[inline(always)]
    fn columns<const N: usize, const WIDTH: usize>(&self, weights: &[f32], first: usize, out: &mut [f32]) -> usize {
        let (blocks, dim) = (self.visible(), out.len() / N);
        let width = dim / T::DIMS;
        let mut sums = [[0.0_f32; WIDTH]; N];
        for (i, block) in blocks.iter().enumerate() {
            // SAFETY: as in `scores`.
            let values = unsafe { self.kv.values(*block, self.layer, self.head) };
            let ahead = self.after(i + 1);
            for slot in self.slots(i) {
                for line in 0..WIDTH / T::DIMS / LINE {
                    fetch(ahead.wrapping_add(slot * width + first / T::DIMS + line * LINE));
                }
                let row = widen::<T, WIDTH>(&values[slot * width + first / T::DIMS..][..WIDTH / T::DIMS]);
                for h in 0..N {
                    let weight = weights[(h * blocks.len() + i) * BLOCK_TOKENS + slot];
                    for d in 0..WIDTH {
                        sums[h][d] = weight.mul_add(row[d], sums[h][d]);
                    }
                }
            }
        }
        for (out, sums) in out.chunks_exact_mut(dim).zip(sums) {
            out[first..first + WIDTH].copy_from_slice(&sums);
        }
        WIDTH
    }
}

/// Whole pieces of a value in f32. Plain loops: what takes a closure is not inlined into the instructions of the caller.
#[inline(always)]
fn widen<T: Stored, const WIDTH: usize>(elements: &[T]) -> [f32; WIDTH] {
    let step = piece(WIDTH) / T::DIMS;
    let elements = &elements[..WIDTH / T::DIMS];
    let mut row = [0.0; WIDTH];
    for first in (0..WIDTH / T::DIMS).step_by(step) {
        for side in 0..T::DIMS {
            for d in 0..step {
                row[first * T::DIMS + side * step + d] = elements[first + d].one(side);
            }
        }
    }
    row
}

/// x = exp(scale · x - max); returns Σ.
#[inline(always)]
fn exponentials(x: &mut [f32], max: f32, scale: f32) -> f32 {
    let mut lanes = [0.0_f32; LANES];
    for chunk in x.as_chunks_mut::<LANES>().0 {
        for i in 0..LANES {
            chunk[i] = exp(chunk[i] * scale - max);
            lanes[i] += chunk[i];
        }
    }
    super::super::logsumexp::fold(lanes, |a, b| a + b)
}

/// Attention of `N` query heads into `out`, `[N, head_dim]` like `queries`.
#[inline(always)]
fn heads<T: Stored, const N: usize>(
    place: Place<'_, T>,
    scale: f32,
    queries: &[f32],
    scores: &mut [f32],
    out: &mut [f32],
) {
    let dim = queries.len() / N;
    let mut each = [&queries[..0]; N];
    each.iter_mut()
        .zip(queries.chunks_exact(dim))
        .for_each(|(slot, q)| *slot = q);
    place.scores(each, scores);
    let mut sums = [0.0; N];
    for (sum, scores) in sums.iter_mut().zip(scores.chunks_exact_mut(scores.len() / N)) {
        place.hide(scores);
        *sum = exponentials(scores, maximum(scores) * scale, scale);
    }
    place.mix::<N>(scores, out);
    for (out, sum) in out.chunks_exact_mut(dim).zip(sums) {
        scale_by(out, 1.0 / sum);
    }
}

impl<T: Stored> Place<'_, T> {
    /// Scores of hidden positions become -inf.
    #[inline(always)]
    fn hide(&self, scores: &mut [f32]) {
        let origin = self.first / BLOCK_TOKENS * BLOCK_TOKENS;
        scores[..self.first - origin].fill(f32::NEG_INFINITY);
        scores[self.position + 1 - origin..].fill(f32::NEG_INFINITY);
    }
}

/// [`heads`] of however many heads.
#[inline(always)]
fn some_heads<T: Stored>(
    place: Place<'_, T>,
    scale: f32,
    dim: usize,
    queries: &[f32],
    scores: &mut [f32],
    out: &mut [f32],
) {
    match queries.len() / dim {
        1 => heads::<T, 1>(place, scale, queries, scores, out),
        2 => heads::<T, 2>(place, scale, queries, scores, out),
        3 => heads::<T, 3>(place, scale, queries, scores, out),
        _ => heads::<T, HEADS>(place, scale, queries, scores, out),
    }
}

multiversion! {
    fn heads_f32(place: Place<'_, f32>, scale: f32, dim: usize, queries: &[f32], scores: &mut [f32], out: &mut [f32]) {
        some_heads(place, scale, dim, queries, scores, out);
    }

    fn heads_bf16(place: Place<'_, Pair>, scale: f32, dim: usize, queries: &[f32], scores: &mut [f32], out: &mut [f32]) {
        some_heads(place, scale, dim, queries, scores, out);
    }

    fn scores_f32(place: Place<'_, f32>, q: &[f32], out: &mut [f32]) {
        place.scores([q], out);
        place.hide(out);
    }

    fn mix_f32(place: Place<'_, f32>, weights: &[f32], out: &mut [f32]) {
        place.mix::<1>(weights, out);
    }

    /// x = exp(scale · x - max); returns Σ.
    pub(super) fn exp_scaled(x: &mut [f32], max: f32, scale: f32) -> f32 {
        exponentials(x, max, scale)
    }

    pub(super) fn scale_by(x: &mut [f32], factor: f32) {
        for x in x {
            *x *= factor;
        }
    }
}

/// Stored elements that attention runs over.
pub(crate) trait Attend: Stored {
    /// Attention of up to [`HEADS`] query heads.
    fn attend(place: Place<'_, Self>, scale: f32, dim: usize, queries: &[f32], scores: &mut [f32], out: &mut [f32])
    where
        Self: Sized;
}

impl Attend for f32 {
    fn attend(place: Place<'_, Self>, scale: f32, dim: usize, queries: &[f32], scores: &mut [f32], out: &mut [f32]) {
        heads_f32(place, scale, dim, queries, scores, out);
    }
}

impl Attend for Pair {
    fn attend(place: Place<'_, Self>, scale: f32, dim: usize, queries: &[f32], scores: &mut [f32], out: &mut [f32]) {
        heads_bf16(place, scale, dim, queries, scores, out);
    }
}

/// Raw scores of `q` against the visible blocks, hidden positions at -inf.
///
/// # Safety
/// Nobody writes the blocks meanwhile.
pub(super) unsafe fn raw_scores(q: &[f32], place: Place<'_, f32>, out: &mut Vec<f32>) {
    out.resize(place.visible().len() * BLOCK_TOKENS, 0.0);
    scores_f32(place, q, out);
}

/// out = Σ_j weights[j] · values[j] over the visible positions; `weights` is `[blocks, 16]`.
///
/// # Safety
/// As [`raw_scores`].
pub(super) unsafe fn mix(place: Place<'_, f32>, weights: &[f32], out: &mut [f32]) {
    mix_f32(place, weights, out);
}

/// Attention of the query heads `queries` that share a key/value head.
///
/// # Safety
/// Nobody writes the blocks meanwhile.
pub(super) unsafe fn attend<T: Attend>(
    shape: &AttentionShape,
    queries: &[f32],
    place: Place<'_, T>,
    scores: &mut Vec<f32>,
    out: &mut [f32],
) {
    let width = HEADS * shape.head_dim;
    for (queries, out) in queries.chunks(width).zip(out.chunks_mut(width)) {
        let heads = queries.len() / shape.head_dim;
        scores.resize(heads * place.visible().len() * BLOCK_TOKENS, 0.0);
        T::attend(place, shape.scale(), shape.head_dim, queries, scores, out);
    }
}
