//! Causal grouped-query attention over KV blocks.
//!
//! A query row folds the positions before it in order from the start of its sequence: scores first, then a softmax over
//! all of them, then the weighted sum. Decode, chunked prefill and training call the same function, so a row's result
//! does not depend on how its sequence was cut into steps.

mod backward;
mod kv;
mod row;

pub(crate) use backward::{Saved, attention_backward};
pub(crate) use kv::{BLOCK_TOKENS, Kv, KvShape};

use std::cell::RefCell;

use super::par::{Disjoint, Par};
use crate::model::SequenceRows;

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

    fn scale(&self) -> f32 {
        1.0 / (self.head_dim as f32).sqrt()
    }
}

thread_local! {
    /// Scores of one row, and what the backward keeps of it; grows to the longest sequence a thread has seen.
    static SCORES: RefCell<[Vec<f32>; 2]> = const { RefCell::new([Vec::new(), Vec::new()]) };
}

/// Multiply-adds below which attention stays on one thread.
const SERIAL_WORK: usize = 1 << 18;

/// Attention of every row of `sequences`: queries from `qkv` (rows `[q | k | v]`), keys and values of `layer` from
/// `kv`, output `[rows, heads · head_dim]`.
///
/// # Safety
/// No block of the sequences' tables is written meanwhile.
#[allow(unsafe_code)]
pub(crate) unsafe fn attention(
    par: Par,
    shape: &AttentionShape,
    qkv: &[f32],
    sequences: &[SequenceRows<'_>],
    kv: &Kv<'_>,
    layer: usize,
    out: &mut [f32],
) {
    let group = shape.heads / shape.kv_heads * shape.head_dim;
    let one = |sequence: &SequenceRows<'_>, row: usize, head: usize, out: &mut [f32]| {
        let position = sequence.start + (row - sequence.rows.start);
        let queries = &qkv[row * shape.qkv() + head * group..][..group];
        SCORES.with_borrow_mut(|[scores, _]| {
            let blocks = &sequence.block_table[..position / BLOCK_TOKENS + 1];
            // SAFETY: the caller promises that these blocks are not written.
            unsafe { row::attend(shape, queries, kv, (layer, head), blocks, position, scores, out) };
        });
    };
    let work: usize = sequences
        .iter()
        .map(|s| s.rows.len() * (s.start + s.rows.len()) * shape.q())
        .sum();
    let par = if work < SERIAL_WORK { Par::Serial } else { par };
    let shared = Disjoint::new(out);
    // One task per sequence, head and run of rows, so that one long prefill spreads too.
    const RUN: usize = 32;
    if par.threads() == 1 {
        for sequence in sequences {
            for row in sequence.rows.clone() {
                for head in 0..shape.kv_heads {
                    let at = row * shape.q() + head * group;
                    // SAFETY: this thread is the only one to write.
                    one(sequence, row, head, unsafe { shared.part(at..at + group) });
                }
            }
        }
        return;
    }
    par.each(sequences.len(), |s| {
        let sequence = &sequences[s];
        par.each(sequence.rows.len().div_ceil(RUN) * shape.kv_heads, |task| {
            let (run, head) = (task / shape.kv_heads, task % shape.kv_heads);
            let first = sequence.rows.start + run * RUN;
            for row in first..(first + RUN).min(sequence.rows.end) {
                let at = row * shape.q() + head * group;
                // SAFETY: each (row, head) belongs to one task.
                one(sequence, row, head, unsafe { shared.part(at..at + group) });
            }
        });
    });
}
