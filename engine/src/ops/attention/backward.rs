//! Backward of attention over whole sequences: probabilities are computed again, row by row, in the forward's order.
#![allow(unsafe_code)]

use super::super::logsumexp::maximum;
use super::super::par::{Disjoint, Par};
use super::super::simd::multiversion;
use super::kv::{BLOCK_TOKENS, Kv};
use super::row::{Place, exp_scaled, mix, raw_scores, scale_by};
use super::{AttentionShape, SCORES, SERIAL_WORK};
use crate::model::SequenceRows;

multiversion! {
    /// rows[j] += weights[j] · x.
    fn outer(weights: &[f32], x: &[f32], rows: &mut [f32]) {
        for (row, weight) in rows.chunks_exact_mut(x.len()).zip(weights) {
            for (row, x) in row.iter_mut().zip(x) {
                *row = weight.mul_add(*x, *row);
            }
        }
    }

    /// dS = P · (dP - D) · scale, in place of dP.
    fn score_gradient(p: &[f32], dp: &mut [f32], d: f32, scale: f32) {
        for (dp, p) in dp.iter_mut().zip(p) {
            *dp = p * (*dp - d) * scale;
        }
    }

    fn dot(a: &[f32], b: &[f32]) -> f32 {
        a.iter().zip(b).fold(0.0, |sum, (a, b)| a.mul_add(*b, sum))
    }
}

/// What the backward reads.
pub(crate) struct Saved<'a> {
    /// Rows `[q | k | v]` as attention saw them.
    pub(crate) qkv: &'a [f32],
    /// Output of attention.
    pub(crate) out: &'a [f32],
    /// Two layers: keys and values of the sequences, and the same exchanged.
    pub(crate) kv: &'a Kv<'a>,
}

/// Overwrites `grad`, rows `[dq | dk | dv]`, given `dout`. Every sequence starts at position 0.
///
/// # Safety
/// No block of the sequences' tables is written meanwhile.
pub(crate) unsafe fn attention_backward(
    par: Par,
    shape: &AttentionShape,
    saved: &Saved<'_>,
    sequences: &[SequenceRows<'_>],
    dout: &[f32],
    grad: &mut [f32],
) {
    let work: usize = sequences.iter().map(|s| s.rows.len() * s.rows.len() * shape.q()).sum();
    let par = if work < SERIAL_WORK { Par::Serial } else { par };
    let grad = Disjoint::new(grad);
    par.each(sequences.len() * shape.kv_heads, |task| {
        let (sequence, head) = (&sequences[task / shape.kv_heads], task % shape.kv_heads);
        assert_eq!(sequence.start, 0, "the backward takes whole sequences");
        // SAFETY: blocks as the caller promises; each task writes the rows and columns of its own sequence and head.
        unsafe { one_head(shape, saved, sequence, head, dout, &grad) };
    });
}

/// # Safety
/// As [`attention_backward`]; nobody else writes the columns of `head` in the rows of `sequence`.
unsafe fn one_head(
    shape: &AttentionShape,
    saved: &Saved<'_>,
    sequence: &SequenceRows<'_>,
    head: usize,
    dout: &[f32],
    grad: &Disjoint<'_, f32>,
) {
    let (width, dim) = (shape.qkv(), shape.head_dim);
    let group = shape.heads / shape.kv_heads;
    let len = sequence.rows.len();
    let mut dk = vec![0.0; len * dim];
    let mut dv = vec![0.0; len * dim];
    for position in 0..len {
        let row = sequence.rows.start + position;
        let first = shape.first_visible(position);
        for h in head * group..(head + 1) * group {
            let q = &saved.qkv[row * width + h * dim..][..dim];
            let at = row * shape.q() + h * dim;
            let (out, dout) = (&saved.out[at..at + dim], &dout[at..at + dim]);
            let place = Place {
                kv: saved.kv,
                layer: 0,
                head,
                blocks: &sequence.block_table[..position / BLOCK_TOKENS + 1],
                first,
                position,
            };
            let exchanged = Place { layer: 1, ..place };
            let at = row * width + h * dim;
            SCORES.with_borrow_mut(|[p, ds]| {
                let origin = first / BLOCK_TOKENS * BLOCK_TOKENS;
                let visible = first - origin..position + 1 - origin;
                // SAFETY: blocks as the caller promises.
                unsafe {
                    probabilities(shape, q, place, p);
                    raw_scores(dout, exchanged, ds);
                }
                {
                    let (p, ds) = (&p[visible.clone()], &mut ds[visible]);
                    score_gradient(p, ds, dot(out, dout), shape.scale());
                    outer(ds, q, &mut dk[first * dim..]);
                    outer(p, dout, &mut dv[first * dim..]);
                }
                // dq = Σ_j ds[j] · k[j]: the second layer's values are the keys.
                // SAFETY: blocks as the caller promises, dq columns are ours.
                unsafe { mix(exchanged, ds, grad.part(at..at + dim)) };
            });
        }
    }
    for (position, (dk, dv)) in dk.chunks_exact(dim).zip(dv.chunks_exact(dim)).enumerate() {
        let at = (sequence.rows.start + position) * width + (shape.heads + head) * dim;
        let value = at + shape.kv_heads * dim;
        // SAFETY: these columns are ours.
        unsafe {
            grad.part(at..at + dim).copy_from_slice(dk);
            grad.part(value..value + dim).copy_from_slice(dv);
        }
    }
}

/// # Safety
/// As [`raw_scores`].
unsafe fn probabilities(shape: &AttentionShape, q: &[f32], place: Place<'_, f32>, p: &mut Vec<f32>) {
    // SAFETY: passed on.
    unsafe { raw_scores(q, place, p) };
    let max = maximum(p) * shape.scale();
    let sum = exp_scaled(p, max, shape.scale());
    scale_by(p, 1.0 / sum);
}
