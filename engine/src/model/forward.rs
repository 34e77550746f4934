//! One step of the decoder over a batch of rows from many sequences.
#![allow(unsafe_code)]

use std::ops::Range;

use super::KvCache;
use super::kv_cache::SharedKv;
use super::layer::{Activations, LayerRows, Run, cut_runs, layer_forward};
use crate::ops::attention::{Attend, BLOCK_TOKENS, Kv};
use crate::ops::elementwise::embed;
use crate::ops::gemm::Normed;
use crate::ops::norm::rms_norm;
use crate::ops::par::{Disjoint, Par};
use crate::ops::rope::RopeTable;
use crate::weights::WeightSet;

/// The rows of one sequence in a step: consecutive positions from `start`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SequenceRows<'a> {
    /// Rows of the step's batch.
    pub rows: Range<usize>,
    /// Position of the first row; every earlier position is in the cache already.
    pub start: usize,
    /// Block `i` holds positions `16 i .. 16 i + 16`; long enough for the last row.
    pub block_table: &'a [u32],
}

impl SequenceRows<'_> {
    /// The same rows numbered from row `first` of the batch.
    fn shifted(&self, first: usize) -> Self {
        let rows = self.rows.start - first..self.rows.end - first;
        Self {
            rows,
            start: self.start,
            block_table: self.block_table,
        }
    }
}

/// What one step computes.
#[derive(Debug, Clone)]
pub struct StepBatch<'a> {
    /// Token of each row, `[rows]`, each below the vocabulary's size.
    pub tokens: &'a [u32],
    /// Sequences, covering the rows in order without gaps. No two write the same block; one may read what another
    /// writes in the same step.
    pub sequences: &'a [SequenceRows<'a>],
    /// Rows whose logits are wanted.
    pub logit_rows: &'a [u32],
    /// Rows whose states after the final norm are wanted, and no logits.
    pub state_rows: &'a [u32],
}

/// Buffers of a forward, reused from step to step.
#[derive(Debug, Default)]
pub struct Scratch {
    rope: RopeTable,
    positions: Vec<u32>,
    /// One per part of a step that is split by sequences.
    parts: Vec<Part>,
    hidden: Vec<f32>,
    selected: Vec<f32>,
    writers: Vec<(u32, u32)>,
}

impl Scratch {
    /// The states of the last forward's `logit_rows`, then `state_rows`, `[rows, hidden]` f32, after the final norm.
    pub(super) fn states(&self, weights: &WeightSet, rows: usize, states: &mut Vec<f32>) {
        let hidden = weights.config.hidden_size;
        assert_eq!(self.selected.len(), rows * hidden, "rows of the last forward");
        states.resize(rows * hidden, 0.0);
        rms_norm(
            Par::Serial,
            &self.selected,
            &weights.norm,
            weights.config.rms_norm_eps,
            states,
        );
    }
}

/// Buffers of the rows that one thread (or the whole pool) carries through all layers.
#[derive(Debug, Default)]
struct Part {
    acts: Activations,
    runs: Vec<Run>,
    gated: Vec<f32>,
    out: Vec<f32>,
}

/// Multiply-adds of a step below which other threads are not woken.
const SERIAL_WORK: usize = 4 << 20;
/// Weights up to so many bytes are read by each thread for rows of its own, which saves the hand-over at each product.
const SPLIT_BYTES: usize = 16 << 20;

/// Runs the decoder over `batch`: writes keys and values of every row into `cache` and the logits of
/// `batch.logit_rows` into `logits`, resized to `[logit_rows, vocab]` f32. A row's result does not depend on the other
/// rows, on how its prompt was chunked, or on the number of threads. Runs on the thread's [`crate::ops::Team`].
///
/// # Panics
/// If sequences do not cover the rows in order, a block table is too short, or a token, block or row is out of range.
pub fn forward(
    weights: &WeightSet,
    cache: &mut KvCache,
    batch: &StepBatch<'_>,
    scratch: &mut Scratch,
    logits: &mut Vec<f32>,
) {
    check(batch, cache.blocks());
    assert_eq!(cache.precision(), weights.storage.kv, "storage of the cache");
    let work = batch.tokens.len() * weights.bytes() / size_of::<f32>();
    let par = if work < SERIAL_WORK { Par::Serial } else { Par::Pool };
    step(par, weights, cache, batch, scratch, logits);
}

/// Panics unless the batch is as [`forward`] wants it.
pub(super) fn check(batch: &StepBatch<'_>, blocks: usize) {
    let mut row = 0;
    for sequence in batch.sequences {
        assert!(
            sequence.rows.start == row && sequence.rows.end >= row,
            "sequences must cover the rows in order"
        );
        row = sequence.rows.end;
        let needed = (sequence.start + sequence.rows.len()).div_ceil(BLOCK_TOKENS);
        assert!(sequence.block_table.len() >= needed, "block table too short");
        assert!(
            sequence.block_table[..needed]
                .iter()
                .all(|block| (*block as usize) < blocks),
            "block out of range"
        );
    }
    assert_eq!(row, batch.tokens.len(), "sequences must cover all rows");
    let mut wanted = batch.logit_rows.iter().chain(batch.state_rows);
    assert!(wanted.all(|i| (*i as usize) < row), "wanted row out of range");
}

fn step(
    par: Par,
    weights: &WeightSet,
    cache: &mut KvCache,
    batch: &StepBatch<'_>,
    scratch: &mut Scratch,
    logits: &mut Vec<f32>,
) {
    let config = &weights.config;
    let hidden = config.hidden_size;
    scratch.positions.clear();
    for sequence in batch.sequences {
        scratch.positions.extend(
            (sequence.start..)
                .take(sequence.rows.len())
                .map(|position| position as u32),
        );
    }
    let last = batch
        .sequences
        .iter()
        .map(|s| s.start + s.rows.len())
        .max()
        .unwrap_or(0);
    scratch.rope.grow(&weights.frequencies, last);
    let parts = split(par, weights, batch, &mut scratch.writers);
    scratch.parts.resize_with(scratch.parts.len().max(parts), Part::default);
    scratch.hidden.resize(batch.tokens.len() * hidden, 0.0);
    match cache.share() {
        SharedKv::F32(kv) => all_layers(par, weights, &kv, batch, scratch, parts),
        SharedKv::Bf16(kv) => all_layers(par, weights, &kv, batch, scratch, parts),
    }
    let (drawn, wanted) = (batch.logit_rows.len(), batch.logit_rows.iter().chain(batch.state_rows));
    scratch.selected.resize((drawn + batch.state_rows.len()) * hidden, 0.0);
    for (slot, row) in scratch.selected.chunks_exact_mut(hidden).zip(wanted) {
        slot.copy_from_slice(&scratch.hidden[*row as usize * hidden..][..hidden]);
    }
    logits.resize(drawn * config.vocab_size, 0.0);
    let normed = Normed {
        x: &scratch.selected[..drawn * hidden],
        weight: &weights.norm,
        eps: config.rms_norm_eps,
    };
    weights.head.project(par, drawn, &normed, logits);
}

/// Every layer, part by part: from tokens to `scratch.hidden`.
fn all_layers<T: Attend>(
    par: Par,
    weights: &WeightSet,
    kv: &Kv<'_, T>,
    batch: &StepBatch<'_>,
    scratch: &mut Scratch,
    parts: usize,
) {
    let (config, hidden) = (&weights.config, weights.config.hidden_size);
    let inner = if parts > 1 { Par::Serial } else { par };
    let out = Disjoint::new(&mut scratch.hidden);
    let buffers = Disjoint::new(&mut scratch.parts);
    let (positions, rope) = (&scratch.positions, &scratch.rope);
    par.each(parts, |i| {
        let sequences = &batch.sequences[cut(batch, parts, i)..cut(batch, parts, i + 1)];
        let (Some(first), Some(last)) = (sequences.first(), sequences.last()) else {
            return;
        };
        let rows = first.rows.start..last.rows.end;
        // SAFETY: part i alone uses its buffers and its rows.
        let (part, out) = unsafe {
            (
                &mut buffers.part(i..i + 1)[0],
                out.part(rows.start * hidden..rows.end * hidden),
            )
        };
        // Rows are numbered from the part's first.
        let local: Vec<SequenceRows<'_>> = sequences.iter().map(|s| s.shifted(rows.start)).collect();
        let mut runs = std::mem::take(&mut part.runs);
        cut_runs(&local, &mut runs);
        let view = LayerRows {
            config,
            sequences: &local,
            runs: &runs,
            positions: &positions[rows.clone()],
            rope,
            kv: weights.storage.kv,
            copied: &[],
        };
        // SAFETY: sequences write blocks of their own, and `split` has made sure that no part reads another's.
        unsafe { layers(inner, weights, &batch.tokens[rows], view, kv, part, out) };
        part.runs = runs;
    });
}

/// First sequence of part `i`: parts have about equally many rows.
fn cut(batch: &StepBatch<'_>, parts: usize, i: usize) -> usize {
    let row = batch.tokens.len() * i / parts;
    batch.sequences.partition_point(|sequence| sequence.rows.start < row)
}

/// Into how many parts by sequences a step is cut: one per thread for a small model, if no part reads a block that
/// another part writes in this step; else one.
fn split(par: Par, weights: &WeightSet, batch: &StepBatch<'_>, writers: &mut Vec<(u32, u32)>) -> usize {
    let parts = par.threads().min(batch.sequences.len());
    if parts <= 1 || weights.bytes() > SPLIT_BYTES {
        return 1;
    }
    writers.clear();
    let ranges = |i: usize| cut(batch, parts, i)..cut(batch, parts, i + 1);
    for part in 0..parts {
        for sequence in &batch.sequences[ranges(part)] {
            let first = sequence.start / BLOCK_TOKENS;
            let end = (sequence.start + sequence.rows.len()).div_ceil(BLOCK_TOKENS);
            writers.extend(
                sequence.block_table[first..end]
                    .iter()
                    .map(|block| (*block, part as u32)),
            );
        }
    }
    writers.sort_unstable();
    for part in 0..parts {
        let sequences = &batch.sequences[ranges(part)];
        let mut rows = sequences.iter().map(|s| s.rows.len());
        // One long prefill would leave the other threads idle.
        if rows.len() == 0 || rows.any(|rows| rows * parts > batch.tokens.len() + parts * BLOCK_TOKENS) {
            return 1;
        }
        for sequence in sequences {
            let foreign = |block: &u32| {
                let at = writers.partition_point(|(other, _)| other < block);
                writers
                    .get(at)
                    .is_some_and(|(other, writer)| other == block && *writer != part as u32)
            };
            if sequence.block_table[..sequence.start.div_ceil(BLOCK_TOKENS)]
                .iter()
                .any(foreign)
            {
                return 1;
            }
        }
    }
    parts
}

/// All layers for some sequences, from tokens to the residual stream before the final norm.
///
/// # Safety
/// Nobody else touches the blocks these rows write, or writes a block of these sequences' tables.
unsafe fn layers<T: Attend>(
    par: Par,
    weights: &WeightSet,
    tokens: &[u32],
    rows: LayerRows<'_>,
    kv: &Kv<'_, T>,
    part: &mut Part,
    out: &mut [f32],
) {
    let hidden = weights.config.hidden_size;
    part.acts.input.resize(tokens.len() * hidden, 0.0);
    embed(
        par,
        &weights.embedding,
        &weights.head,
        tokens,
        hidden,
        &mut part.acts.input,
    );
    for (index, layer) in weights.layers.iter().enumerate() {
        // SAFETY: passed on.
        unsafe {
            layer_forward(
                par,
                layer,
                rows,
                kv,
                index,
                &mut part.acts,
                &mut part.gated,
                &mut part.out,
            )
        };
        std::mem::swap(&mut part.acts.input, &mut part.out);
    }
    out.copy_from_slice(&part.acts.input);
}
