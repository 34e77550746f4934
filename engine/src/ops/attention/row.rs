//! One query row against the blocks of its sequence.
#![allow(unsafe_code)]

use super::super::exp::exp;
use super::super::logsumexp::{LANES, maximum};
use super::super::simd::multiversion;
use super::AttentionShape;
use super::kv::{BLOCK_TOKENS, Kv};

const _: () = assert!(LANES == BLOCK_TOKENS, "a block is one vector of scores");

/// `COUNT` blocks at once, so that their chains overlap: out[c] = Σ_d q[d] · keys[c][d], d in order.
#[inline(always)]
fn dots<const COUNT: usize>(q: &[f32], keys: [&[f32]; COUNT], out: &mut [f32]) {
    let mut sums = [[0.0_f32; BLOCK_TOKENS]; COUNT];
    // Of known length, so that the loop has no checks.
    let keys = keys.map(|keys| &keys.as_chunks::<BLOCK_TOKENS>().0[..q.len()]);
    for (d, x) in q.iter().enumerate() {
        for c in 0..COUNT {
            let row = &keys[c][d];
            for i in 0..BLOCK_TOKENS {
                sums[c][i] = x.mul_add(row[i], sums[c][i]);
            }
        }
    }
    for (out, sums) in out.as_chunks_mut::<BLOCK_TOKENS>().0.iter_mut().zip(sums) {
        *out = sums;
    }
}

multiversion! {
    /// Dot products of `q` with up to four blocks of `keys` (transposed, `[head_dim, 16]` each).
    pub(super) fn scores(q: &[f32], keys: &[&[f32]], out: &mut [f32]) {
        assert!(keys.iter().all(|keys| keys.len() == q.len() * BLOCK_TOKENS), "shape of the keys");
        match *keys {
            [a] => dots(q, [a], out),
            [a, b] => dots(q, [a, b], out),
            [a, b, c] => dots(q, [a, b, c], out),
            [a, b, c, d] => dots(q, [a, b, c, d], out),
            _ => unreachable!("at most four blocks at once"),
        }
    }

    /// x = exp(scale · x - max); returns Σ.
    pub(super) fn exp_scaled(x: &mut [f32], max: f32, scale: f32) -> f32 {
        let mut lanes = [0.0_f32; LANES];
        for chunk in x.as_chunks_mut::<LANES>().0 {
            for i in 0..LANES {
                chunk[i] = exp(chunk[i] * scale - max);
                lanes[i] += chunk[i];
            }
        }
        super::super::logsumexp::fold(lanes, |a, b| a + b)
    }

    /// out[d] = Σ_j weights[j] · values[j][d] over one block, going on from `out`, j in order.
    pub(super) fn weighted_sum(weights: &[f32], values: &[f32], out: &mut [f32]) {
        let width = out.len();
        let mut first = 0;
        while first < width {
            first += match width - first {
                64.. => columns::<64>(weights, values, width, first, out),
                32.. => columns::<32>(weights, values, width, first, out),
                16.. => columns::<16>(weights, values, width, first, out),
                8.. => columns::<8>(weights, values, width, first, out),
                _ => columns::<1>(weights, values, width, first, out),
            };
        }
    }

    pub(super) fn scale_by(x: &mut [f32], factor: f32) {
        for x in x {
            *x *= factor;
        }
    }
}

#[inline(always)]
fn columns<const WIDTH: usize>(weights: &[f32], values: &[f32], width: usize, first: usize, out: &mut [f32]) -> usize {
    let Some(out) = out[first..].first_chunk_mut::<WIDTH>() else {
        return 0;
    };
    let mut sums = *out;
    for (weight, row) in weights.iter().zip(values.chunks_exact(width)) {
        if let Some(row) = row[first..].first_chunk::<WIDTH>() {
            for i in 0..WIDTH {
                sums[i] = weight.mul_add(row[i], sums[i]);
            }
        }
    }
    *out = sums;
    WIDTH
}

/// Raw scores of `q` against `blocks[first_block..]`, hidden positions at -inf.
///
/// # Safety
/// Nobody writes the blocks meanwhile.
pub(super) unsafe fn raw_scores(
    q: &[f32],
    kv: &Kv<'_>,
    (layer, head): (usize, usize),
    blocks: &[u32],
    visible: std::ops::RangeInclusive<usize>,
    out: &mut Vec<f32>,
) {
    let first_block = visible.start() / BLOCK_TOKENS;
    out.resize((blocks.len() - first_block) * BLOCK_TOKENS, 0.0);
    for (four, out) in blocks[first_block..].chunks(4).zip(out.chunks_mut(4 * BLOCK_TOKENS)) {
        let mut keys: [&[f32]; 4] = [&[]; 4];
        for (keys, block) in keys.iter_mut().zip(four) {
            // SAFETY: passed on to the caller.
            *keys = unsafe { kv.keys(*block, layer, head) };
        }
        scores(q, &keys[..four.len()], out);
    }
    let origin = first_block * BLOCK_TOKENS;
    out[..visible.start() - origin].fill(f32::NEG_INFINITY);
    out[visible.end() + 1 - origin..].fill(f32::NEG_INFINITY);
}

/// Attention of the query heads `queries` that share key/value head `head`, for a row at `position`.
/// `blocks` ends with the block of `position`.
///
/// # Safety
/// Nobody writes the blocks meanwhile.
pub(super) unsafe fn attend(
    shape: &AttentionShape,
    queries: &[f32],
    kv: &Kv<'_>,
    head: (usize, usize),
    blocks: &[u32],
    position: usize,
    weights: &mut Vec<f32>,
    out: &mut [f32],
) {
    let first = shape.first_visible(position);
    let first_block = first / BLOCK_TOKENS;
    for (q, out) in queries
        .chunks_exact(shape.head_dim)
        .zip(out.chunks_exact_mut(shape.head_dim))
    {
        // SAFETY: passed on to the caller.
        unsafe { raw_scores(q, kv, head, blocks, first..=position, weights) };
        let max = maximum(weights) * shape.scale();
        let sum = exp_scaled(weights, max, shape.scale());
        out.fill(0.0);
        // Slots before and after the visible ones may hold anything, NaN included: leave them out.
        for (i, block) in blocks[first_block..].iter().enumerate() {
            let origin = (first_block + i) * BLOCK_TOKENS;
            let slots = first.saturating_sub(origin)..BLOCK_TOKENS.min(position + 1 - origin);
            // SAFETY: passed on to the caller.
            let values = unsafe { kv.values(*block, head.0, head.1) };
            let weights = &weights[i * BLOCK_TOKENS..][slots.clone()];
            weighted_sum(weights, &values[slots.start * shape.head_dim..], out);
        }
        scale_by(out, 1.0 / sum);
    }
}
