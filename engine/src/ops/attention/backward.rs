//! Backward of attention over whole sequences: probabilities are computed again, row by row, in the forward's order.
//!
//! A sequence may share its first rows with another. What its own rows send back to the shared keys and values is
//! gathered apart and added in the order of the sequences, so that the sum is the same at any number of threads.
#![allow(unsafe_code)]

use std::ops::Range;

use super::super::elementwise::add_assign;
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

/// Sequences whose rows together are whole: those before a sequence's start are another's.
#[derive(Clone, Copy)]
pub(crate) struct Shared<'a> {
    pub(crate) sequences: &'a [SequenceRows<'a>],
    /// The row of position 0, for each sequence that starts later.
    pub(crate) trunks: &'a [usize],
}

impl Shared<'_> {
    /// For each sequence, where its share begins among `numbers` per shared row; then the end.
    fn offsets(&self, numbers: usize) -> Vec<usize> {
        let mut end = 0;
        let ends = self.sequences.iter().map(|sequence| {
            end += sequence.start * numbers;
            end
        });
        std::iter::once(0).chain(ends).collect()
    }
}

/// Overwrites `grad`, rows `[dq | dk | dv]`, given `dout`.
///
/// # Safety
/// No block of the sequences' tables is written meanwhile.
pub(crate) unsafe fn attention_backward(
    par: Par,
    shape: &AttentionShape,
    saved: &Saved<'_>,
    shared: Shared<'_>,
    dout: &[f32],
    grad: &mut [f32],
) {
    let (sequences, heads) = (shared.sequences, shape.kv_heads);
    let cost = |s: &SequenceRows<'_>| s.rows.len() * (s.start + s.rows.len()) * shape.q();
    let par = if sequences.iter().map(cost).sum::<usize>() < SERIAL_WORK {
        Par::Serial
    } else {
        par
    };
    let offsets = shared.offsets(heads * 2 * shape.head_dim);
    let mut apart = vec![0.0; offsets[sequences.len()]];
    let (grad, sent) = (Disjoint::new(grad), Disjoint::new(&mut apart));
    par.each(sequences.len() * heads, |task| {
        let (index, head) = (task / heads, task % heads);
        let sequence = &sequences[index];
        let share = sequence.start * 2 * shape.head_dim;
        let at = offsets[index] + head * share;
        // SAFETY: blocks as the caller promises; each task writes the rows and columns of its own sequence and head.
        unsafe { one_head(shape, saved, sequence, head, dout, &grad, sent.part(at..at + share)) };
    });
    par.each(heads, |head| {
        for ((sequence, trunk), at) in sequences.iter().zip(shared.trunks).zip(&offsets) {
            let share = sequence.start * 2 * shape.head_dim;
            let sent = &apart[at + head * share..][..share];
            // SAFETY: each task writes the columns of its own head.
            unsafe { receive(shape, head, *trunk, sent, &grad) };
        }
    });
}

/// Adds what a sequence has sent to the first rows of its trunk.
///
/// # Safety
/// Nobody else writes the columns of `head`.
unsafe fn receive(shape: &AttentionShape, head: usize, trunk: usize, sent: &[f32], grad: &Disjoint<'_, f32>) {
    let dim = shape.head_dim;
    let (dk, dv) = sent.split_at(sent.len() / 2);
    for (position, (dk, dv)) in dk.chunks_exact(dim).zip(dv.chunks_exact(dim)).enumerate() {
        let [key, value] = columns(shape, head, trunk + position);
        // SAFETY: passed on.
        unsafe {
            add_assign(Par::Serial, grad.part(key), dk);
            add_assign(Par::Serial, grad.part(value), dv);
        }
    }
}

/// Where dk and dv of `head` are in a row of the gradient.
fn columns(shape: &AttentionShape, head: usize, row: usize) -> [Range<usize>; 2] {
    let key = row * shape.qkv() + (shape.heads + head) * shape.head_dim;
    let value = key + shape.kv_heads * shape.head_dim;
    [key..key + shape.head_dim, value..value + shape.head_dim]
}

/// Writes the gradient of the sequence's own rows, and to `sent` `[dk | dv]` of those before its start.
///
/// # Safety
/// As [`attention_backward`]; nobody else writes the columns of `head` in the rows of `sequence`.
unsafe fn one_head(
    shape: &AttentionShape,
    saved: &Saved<'_>,
    sequence: &SequenceRows<'_>,
    head: usize,
    dout: &[f32],
    grad: &Disjoint<'_, f32>,
    sent: &mut [f32],
) {
    let (width, dim) = (shape.qkv(), shape.head_dim);
    let group = shape.heads / shape.kv_heads;
    let len = sequence.start + sequence.rows.len();
    let mut dk = vec![0.0; len * dim];
    let mut dv = vec![0.0; len * dim];
    for (position, row) in (sequence.start..).zip(sequence.rows.clone()) {
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
    let (before_k, own_k) = dk.split_at(sequence.start * dim);
    let (before_v, own_v) = dv.split_at(sequence.start * dim);
    let (sent_k, sent_v) = sent.split_at_mut(before_k.len());
    sent_k.copy_from_slice(before_k);
    sent_v.copy_from_slice(before_v);
    let own = own_k.chunks_exact(dim).zip(own_v.chunks_exact(dim));
    for (row, (dk, dv)) in sequence.rows.clone().zip(own) {
        let [key, value] = columns(shape, head, row);
        // SAFETY: these columns are ours.
        unsafe {
            grad.part(key).copy_from_slice(dk);
            grad.part(value).copy_from_slice(dv);
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
