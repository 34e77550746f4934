//! The token at which the cumulated probability reaches a uniform number: sums of blocks first, then within one block.

use crate::ops::exp;
use crate::ops::simd::multiversion;

/// Tokens of a block.
const BLOCK: usize = 256;
/// Partial sums of a block; element `i` belongs to lane `i % LANES`.
const LANES: usize = 16;

multiversion! {
    /// out[b] = Σ exp(x - max) over block `b`, in f64.
    fn block_masses(row: &[f32], max: f32, out: &mut [f64]) {
        for (block, out) in row.chunks(BLOCK).zip(out) {
            let mut lanes = [0.0_f64; LANES];
            let (chunks, rest) = block.as_chunks::<LANES>();
            for chunk in chunks {
                for i in 0..LANES {
                    lanes[i] += f64::from(exp(chunk[i] - max));
                }
            }
            for (lane, x) in lanes.iter_mut().zip(rest) {
                *lane += f64::from(exp(*x - max));
            }
            *out = lanes.iter().sum();
        }
    }

    /// out[i] = exp(x[i] - max).
    fn masses(row: &[f32], max: f32, out: &mut [f32]) {
        for (out, x) in out.iter_mut().zip(row) {
            *out = exp(*x - max);
        }
    }
}

/// The first token, in order of ids, at which the running sum of probabilities exceeds `uniform` of the whole. `max` is
/// the row's largest element, finite. A token without probability is never drawn.
pub(super) fn inverse_cdf(row: &[f32], max: f32, uniform: f64, blocks: &mut Vec<f64>) -> usize {
    blocks.resize(row.len().div_ceil(BLOCK), 0.0);
    block_masses(row, max, blocks);
    let target = uniform * blocks.iter().sum::<f64>();
    let mut sum = 0.0;
    // The last block with any mass catches what only rounding can leave over.
    let mut chosen = (0, 0.0);
    for (block, mass) in blocks.iter().enumerate().filter(|(_, mass)| **mass > 0.0) {
        chosen = (block, sum);
        sum += mass;
        if sum > target {
            break;
        }
    }
    let (block, mut sum) = chosen;
    let first = block * BLOCK;
    let row = &row[first..row.len().min(first + BLOCK)];
    let mut within = [0.0; BLOCK];
    masses(row, max, &mut within);
    let mut last = 0;
    for (at, mass) in within[..row.len()].iter().enumerate().filter(|(_, mass)| **mass > 0.0) {
        sum += f64::from(*mass);
        last = at;
        if sum > target {
            break;
        }
    }
    first + last
}
