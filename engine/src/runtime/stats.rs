//! What the engine tells about itself.

use std::collections::BTreeMap;

use crate::Buckets;

/// Counters and gauges of the engine, a consistent snapshot.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct EngineStats {
    /// Sequences running.
    pub running: usize,
    /// Sequences waiting.
    pub waiting: usize,
    /// Blocks in use and in all.
    pub kv_blocks_used: usize,
    /// Blocks that hold nothing: neither in use nor kept for later prefixes.
    pub kv_blocks_free: usize,
    /// Blocks in all.
    pub kv_blocks_total: usize,
    /// Prompt tokens computed or reused since start.
    pub prompt_tokens: u64,
    /// Tokens sampled since start.
    pub generation_tokens: u64,
    /// Prompt tokens looked up in and found in the prefix cache.
    pub prefix_queries: u64,
    /// Prompt tokens found.
    pub prefix_hits: u64,
    /// Preemptions since start.
    pub preemptions: u64,
    /// Publishes since start.
    pub publishes: u64,
    /// Steps run since start.
    pub steps: u64,
    /// Seconds spent in steps since start.
    pub step_seconds: f64,
    /// Of these, seconds in the decoder's kernels.
    pub decoder_seconds: f64,
    /// Of the steps' seconds, those in the sampler.
    pub sampler_seconds: f64,
    /// Current policy version.
    pub version: u64,
    /// Integrity checks of the idle engine.
    pub integrity_checks: u64,
    /// Those that found an inconsistency.
    pub integrity_failures: u64,
    /// Generation is paused, or pausing.
    pub paused: bool,
    /// Swaps by the time for which no step ran, seconds.
    pub swap_pauses: Buckets,
    /// Steps by their rows: tokens of prompts computed and tokens decoded.
    pub step_rows: Buckets,
    /// Tokens sampled by weight version, the newest 16 of them.
    pub tokens_by_version: BTreeMap<u64, u64>,
    /// Tokens sampled under versions that `tokens_by_version` no longer holds.
    pub tokens_of_older: u64,
}

/// Versions whose tokens are counted apart.
pub const VERSIONS: usize = 16;
/// Bounds of a swap's pause, seconds.
const PAUSE_SECONDS: &[f64] = &[1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1.0, 10.0];
/// vLLM's bounds of a step's tokens.
const STEP_ROWS: &[f64] = &[
    1.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 2048.0, 4096.0, 8192.0, 16_384.0,
];

impl EngineStats {
    /// Nothing has happened yet.
    pub(super) fn new(version: u64, blocks: usize) -> Self {
        Self {
            version,
            kv_blocks_total: blocks,
            swap_pauses: Buckets::new(PAUSE_SECONDS),
            step_rows: Buckets::new(STEP_ROWS),
            ..Self::default()
        }
    }

    /// Counts a token drawn under `version`.
    pub(super) fn sampled(&mut self, version: u64) {
        self.generation_tokens += 1;
        *self.tokens_by_version.entry(version).or_default() += 1;
        while self.tokens_by_version.len() > VERSIONS {
            let oldest = self.tokens_by_version.pop_first();
            self.tokens_of_older += oldest.map_or(0, |(_, tokens)| tokens);
        }
    }
}

#[test]
fn tokens_of_old_versions_are_counted_together() {
    let mut stats = EngineStats::new(0, 1);
    for version in 0..20 {
        (0..=version).for_each(|_| stats.sampled(version));
    }
    assert_eq!(stats.tokens_by_version.len(), VERSIONS);
    assert_eq!(stats.tokens_by_version[&19], 20);
    assert_eq!(stats.tokens_of_older, 1 + 2 + 3 + 4);
    assert_eq!(
        stats.generation_tokens,
        stats.tokens_of_older + stats.tokens_by_version.values().sum::<u64>()
    );
}

/// Outcome of a publish.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PublishReport {
    /// Version now served as `policy`.
    pub version: u64,
    /// Running sequences that crossed the swap.
    pub in_flight: usize,
    /// Time for which no step ran.
    pub pause_ms: f64,
}
