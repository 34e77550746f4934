//! One decoder layer over a batch of rows. Serving and training run exactly this.
#![allow(unsafe_code)]

use std::ops::Range;

use super::SequenceRows;
use crate::config::{ModelConfig, Precision};
use crate::ops::attention::{Attend, AttentionShape, BLOCK_TOKENS, Kv, attention, round};
use crate::ops::buffer::size;
use crate::ops::elementwise::add_assign_slice;
use crate::ops::gemm::{Normed, View};
use crate::ops::norm::norm_in_place;
use crate::ops::par::{Disjoint, Par};
use crate::ops::rope::{RopeTable, rotate};
use crate::weights::LayerWeights;

/// What a layer reads besides its weights and input.
#[derive(Clone, Copy)]
pub(crate) struct LayerRows<'a> {
    pub(crate) config: &'a ModelConfig,
    pub(crate) sequences: &'a [SequenceRows<'a>],
    pub(crate) runs: &'a [Run],
    pub(crate) positions: &'a [u32],
    pub(crate) rope: &'a RopeTable,
    /// What keys and values are rounded to, whatever the cache could hold.
    pub(crate) kv: Precision,
    /// Keys and values that a sequence has in its own block and another sequence computes; only in training.
    pub(crate) copied: &'a [Copied],
}

/// The first slots of a block, and the rows that compute their keys and values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Copied {
    pub(crate) rows: Range<usize>,
    pub(crate) block: u32,
}

/// Elements below which a pass over rows stays on one thread.
const SERIAL_ELEMENTS: usize = 1 << 13;

/// Consecutive rows of one sequence whose positions lie in one block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Run {
    /// The sequence's index in the step.
    pub(crate) sequence: usize,
    /// Rows of the step's batch.
    pub(crate) rows: Range<usize>,
    /// Position of the first row.
    pub(crate) start: usize,
}

/// Cuts the rows of `sequences` at the borders of blocks.
pub(crate) fn cut_runs(sequences: &[SequenceRows<'_>], runs: &mut Vec<Run>) {
    runs.clear();
    for (index, sequence) in sequences.iter().enumerate() {
        let (mut row, mut start) = (sequence.rows.start, sequence.start);
        while row < sequence.rows.end {
            let end = (row + BLOCK_TOKENS - start % BLOCK_TOKENS).min(sequence.rows.end);
            runs.push(Run {
                sequence: index,
                rows: row..end,
                start,
            });
            (row, start) = (end, start + end - row);
        }
    }
}

/// Values inside a layer that its backward needs, `[rows, …]` f32 each.
#[derive(Debug, Default)]
pub(crate) struct Activations {
    /// The residual stream on entry.
    pub(crate) input: Vec<f32>,
    /// Rows `[q | k | v]` before head norms, if there are any; only if `keep`.
    pub(crate) raw_qkv: Vec<f32>,
    /// Rows `[q | k | v]` as attention sees them.
    pub(crate) qkv: Vec<f32>,
    /// Output of attention.
    pub(crate) attention: Vec<f32>,
    /// The residual stream after attention.
    pub(crate) middle: Vec<f32>,
    /// Rows `[gate | up]`; only if `keep`.
    pub(crate) gate_up: Vec<f32>,
    /// Whether a backward follows.
    pub(crate) keep: bool,
}

impl ModelConfig {
    /// Shape of the attention of each layer.
    pub(crate) fn attention_shape(&self) -> AttentionShape {
        AttentionShape {
            heads: self.heads,
            kv_heads: self.kv_heads,
            head_dim: self.head_dim,
            window: self.sliding_window,
        }
    }
}

/// Runs one layer: reads `acts.input`, fills the rest of `acts`, writes the residual stream to `out`, and writes keys
/// and values of every row to `kv_layer` of `kv`. `gated` is scratch.
///
/// # Safety
/// Nobody else touches the blocks these rows write, or writes a block of these sequences' tables.
pub(crate) unsafe fn layer_forward<T: Attend>(
    par: Par,
    weights: &LayerWeights,
    rows: LayerRows<'_>,
    kv: &Kv<'_, T>,
    kv_layer: usize,
    acts: &mut Activations,
    gated: &mut Vec<f32>,
    out: &mut Vec<f32>,
) {
    let config = rows.config;
    let shape = config.attention_shape();
    let (count, hidden, inner) = (rows.positions.len(), config.hidden_size, config.intermediate_size);
    let normed = |x, weight| Normed {
        x,
        weight,
        eps: config.rms_norm_eps,
    };
    size(&mut acts.qkv, count * shape.qkv());
    let x = normed(&acts.input, &weights.input_norm);
    weights.qkv.project(par, count, &x, &mut acts.qkv);
    if acts.keep && weights.head_norms.is_some() {
        acts.raw_qkv.clone_from(&acts.qkv);
        if let Some(bias) = &weights.qkv_bias {
            acts.raw_qkv
                .chunks_exact_mut(bias.len())
                .for_each(|row| add_assign_slice(row, bias));
        }
    }
    // SAFETY: passed on to the caller.
    unsafe {
        finish_qkv(par, weights, rows, kv, kv_layer, &mut acts.qkv);
        copy_shared(rows, kv, kv_layer, &acts.qkv);
    }
    size(&mut acts.attention, count * shape.q());
    // SAFETY: passed on to the caller; our own writes are done.
    unsafe { attention(par, &shape, &acts.qkv, rows, kv, kv_layer, &mut acts.attention) };
    size(&mut acts.middle, count * hidden);
    let x = View::rows(&acts.attention, shape.q());
    weights.o.project_onto(par, count, &x, &acts.input, &mut acts.middle);
    size(gated, count * inner);
    let kept = acts.keep.then(|| {
        size(&mut acts.gate_up, count * 2 * inner);
        acts.gate_up.as_mut_slice()
    });
    let x = normed(&acts.middle, &weights.post_norm);
    weights.gate_up.project_gated(par, count, &x, gated, kept);
    size(out, count * hidden);
    let x = View::rows(gated, inner);
    weights.down.project_onto(par, count, &x, &acts.middle, out);
}

/// Bias, head norms and rotation in place, then keys and values into their blocks.
///
/// # Safety
/// Nobody else touches the blocks these rows write.
unsafe fn finish_qkv<T: Attend>(
    par: Par,
    weights: &LayerWeights,
    rows: LayerRows<'_>,
    kv: &Kv<'_, T>,
    layer: usize,
    qkv: &mut [f32],
) {
    let (config, shape) = (rows.config, rows.config.attention_shape());
    let (width, q, part) = (shape.qkv(), shape.q(), shape.kv_heads * shape.head_dim);
    let par = if qkv.len() < SERIAL_ELEMENTS { Par::Serial } else { par };
    let shared = Disjoint::new(qkv);
    par.each(rows.runs.len(), |index| {
        let run = &rows.runs[index];
        let block = rows.sequences[run.sequence].block_table[run.start / BLOCK_TOKENS];
        for (row, position) in run.rows.clone().zip(run.start..) {
            // SAFETY: runs have rows of their own.
            let row = unsafe { shared.part(row * width..(row + 1) * width) };
            if let Some(bias) = &weights.qkv_bias {
                add_assign_slice(row, bias);
            }
            if let Some([q_norm, k_norm]) = &weights.head_norms {
                norm_in_place(&mut row[..q], q_norm, config.rms_norm_eps);
                norm_in_place(&mut row[q..q + part], k_norm, config.rms_norm_eps);
            }
            let (cos, sin) = rows.rope.at(position);
            rotate(&mut row[..q + part], cos, sin, 1.0);
            if rows.kv == Precision::Bf16 {
                round(&mut row[q..]);
            }
            let (key, value) = row[q..].split_at(part);
            // SAFETY: the caller of the layer owns these blocks, and each belongs to one run.
            unsafe { kv.write(block, position % BLOCK_TOKENS, layer, key, value) };
        }
    });
}

/// Keys and values of rows that another sequence shares, into the first slots of its own block.
///
/// # Safety
/// Nobody else touches the blocks that are copied to.
unsafe fn copy_shared<T: Attend>(rows: LayerRows<'_>, kv: &Kv<'_, T>, layer: usize, qkv: &[f32]) {
    let shape = rows.config.attention_shape();
    for copied in rows.copied {
        for (slot, row) in copied.rows.clone().enumerate() {
            let (key, value) = keys_and_values(&shape, qkv, row);
            // SAFETY: passed on.
            unsafe { kv.write(copied.block, slot, layer, key, value) };
        }
    }
}

/// Keys and values of all heads in a row `[q | k | v]`.
pub(crate) fn keys_and_values<'a>(shape: &AttentionShape, qkv: &'a [f32], row: usize) -> (&'a [f32], &'a [f32]) {
    let part = shape.kv_heads * shape.head_dim;
    qkv[row * shape.qkv() + shape.q()..][..2 * part].split_at(part)
}
