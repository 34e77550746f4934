//! Causal grouped-query attention over KV blocks.
//!
//! A query row folds the positions before it in order from the start of its sequence: scores first, then a softmax over
//! all of them, then the weighted sum. Decode, chunked prefill and training call the same function, so a row's result
//! does not depend on how its sequence was cut into steps.

mod backward;
mod kv;
mod row;
mod stored;

pub(crate) use backward::{Saved, Shared, attention_backward};
pub(crate) use kv::{BLOCK_TOKENS, Kv, KvShape};
pub(crate) use row::Attend;
pub(crate) use stored::{Pair, Stored, round};

use std::cell::RefCell;

use super::par::{Disjoint, Par};
use crate::model::{LayerRows, Run};
use row::Place;

/// Shape of the attention of a layer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AttentionShape {
    /// Query heads.
    pub(crate) heads: usize,
    /// Key/value heads.
    pub(crate) kv_heads: usize,
    /// Width of a head.
    pub(crate) head_dim: usize,
    /// Positions visible to a row, itself included, if bounded.
    pub(crate) window: Option<usize>,
}

impl AttentionShape {
    /// Width of a row `[q | k | v]`.
    pub(crate) fn qkv(&self) -> usize {
        (self.heads + 2 * self.kv_heads) * self.head_dim
    }

    /// Width of the queries and of the output.
    pub(crate) fn q(&self) -> usize {
        self.heads * self.head_dim
    }

    /// First position that a row at `position` sees.
    fn first_visible(&self, position: usize) -> usize {
        self.window.map_or(0, |window| (position + 1).saturating_sub(window))
    }

    /// Factor of the scores.
    pub(crate) fn scale(&self) -> f32 {
        1.0 / (self.head_dim as f32).sqrt()
    }
}

thread_local! {
    /// Scores of one row, and what the backward keeps of it; grows to the longest sequence a thread has seen.
    static SCORES: RefCell<[Vec<f32>; 2]> = const { RefCell::new([Vec::new(), Vec::new()]) };
}

/// Multiply-adds below which attention stays on one thread.
const SERIAL_WORK: usize = 1 << 18;

/// Attention of every row of `rows`: queries from `qkv` (rows `[q | k | v]`), keys and values of `layer` from `kv`,
/// output `[rows, heads · head_dim]`.
///
/// # Safety
/// No block of the sequences' tables is written meanwhile.
#[allow(unsafe_code)]
pub(crate) unsafe fn attention<T: Attend>(
    par: Par,
    shape: &AttentionShape,
    qkv: &[f32],
    rows: LayerRows<'_>,
    kv: &Kv<'_, T>,
    layer: usize,
    out: &mut [f32],
) {
    let group = shape.heads / shape.kv_heads * shape.head_dim;
    let work = |run: &Run| run.rows.len() * (run.start + run.rows.len()) * shape.q();
    let work: usize = rows.runs.iter().map(work).sum();
    let par = if work < SERIAL_WORK { Par::Serial } else { par };
    let shared = Disjoint::new(out);
    par.each(rows.runs.len(), |index| {
        let run = &rows.runs[index];
        let table = rows.sequences[run.sequence].block_table;
        SCORES.with_borrow_mut(|[scores, _]| {
            for (row, position) in run.rows.clone().zip(run.start..) {
                for head in 0..shape.kv_heads {
                    let queries = &qkv[row * shape.qkv() + head * group..][..group];
                    let at = row * shape.q() + head * group;
                    let place = Place {
                        kv,
                        layer,
                        head,
                        blocks: &table[..position / BLOCK_TOKENS + 1],
                        first: shape.first_visible(position),
                        position,
                    };
                    // SAFETY: each row belongs to one run, and the caller promises that the blocks are not written.
                    unsafe { row::attend(shape, queries, place, scores, shared.part(at..at + group)) };
                }
            }
        });
    });
}
