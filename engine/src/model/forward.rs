//! One step of the decoder over a batch of rows from many sequences.

use std::ops::Range;

use super::KvCache;
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

/// What one step computes.
#[derive(Debug, Clone)]
pub struct StepBatch<'a> {
    /// Token of each row, `[rows]`.
    pub tokens: &'a [u32],
    /// Sequences, covering the rows in order without gaps.
    pub sequences: &'a [SequenceRows<'a>],
    /// Rows whose logits are wanted.
    pub logit_rows: &'a [u32],
}

/// Buffers of a forward, reused from step to step.
#[derive(Debug, Default)]
pub struct Scratch {}

/// Runs the decoder over `batch`: writes keys and values of every row into `cache` and the logits of
/// `batch.logit_rows` into `logits`, resized to `[logit_rows, vocab]` f32. A row's result does not depend on the other
/// rows, on how its prompt was chunked, or on the number of threads. Runs on the current rayon pool.
pub fn forward(
    _weights: &WeightSet,
    _cache: &mut KvCache,
    _batch: &StepBatch<'_>,
    _scratch: &mut Scratch,
    _logits: &mut Vec<f32>,
) {
    unimplemented!()
}
