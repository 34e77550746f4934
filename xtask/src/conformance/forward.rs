//! Logits of one sequence, straight from the engine's forward, without scheduler and sampler.

use svs_engine::config::ModelConfig;
use svs_engine::model::{BLOCK_TOKENS, KvCache, Scratch, SequenceRows, StepBatch, forward};
use svs_engine::weights::WeightSet;

#[cfg(test)]
#[path = "forward_tests.rs"]
mod tests;

/// One sequence with its KV cache.
pub(super) struct Sequence<'a> {
    weights: &'a WeightSet,
    cache: KvCache,
    blocks: Vec<u32>,
    scratch: Scratch,
    len: usize,
}

impl<'a> Sequence<'a> {
    /// An empty sequence that can grow to `capacity` tokens.
    pub(super) fn new(config: &ModelConfig, weights: &'a WeightSet, capacity: usize) -> Self {
        let count = capacity.div_ceil(BLOCK_TOKENS);
        let blocks = (0..u32::try_from(count).unwrap_or(u32::MAX)).collect();
        Self {
            weights,
            cache: KvCache::new(config, weights.storage.kv, count),
            blocks,
            scratch: Scratch::default(),
            len: 0,
        }
    }

    /// Appends tokens; returns the logits of all of them, `[tokens, vocab]` f32.
    pub(super) fn push(&mut self, tokens: &[u32]) -> Vec<f32> {
        let sequences = [SequenceRows {
            rows: 0..tokens.len(),
            start: self.len,
            block_table: &self.blocks,
        }];
        let logit_rows: Vec<u32> = (0..u32::try_from(tokens.len()).unwrap_or(u32::MAX)).collect();
        let batch = StepBatch {
            tokens,
            sequences: &sequences,
            logit_rows: &logit_rows,
            state_rows: &[],
        };
        let mut logits = Vec::new();
        forward(self.weights, &mut self.cache, &batch, &mut self.scratch, &mut logits);
        self.len += tokens.len();
        logits
    }
}

/// The most likely token; the first of equals.
pub(super) fn argmax(logits: &[f32]) -> u32 {
    let best = |best: usize, (at, value): (usize, &f32)| if *value > logits[best] { at } else { best };
    u32::try_from(logits.iter().enumerate().fold(0, best)).unwrap_or(u32::MAX)
}
