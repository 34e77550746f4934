//! What the engine tells about itself.

/// Counters and gauges of the engine, a consistent snapshot.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct EngineStats {
    /// Sequences running.
    pub running: usize,
    /// Sequences waiting.
    pub waiting: usize,
    /// Blocks in use and in all.
    pub kv_blocks_used: usize,
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
