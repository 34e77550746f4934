//! The step loop on its own thread, and the handle that the rest of the program holds.

use std::sync::Arc;

use crate::config::{EngineConfig, InFlight, ModelConfig};
use crate::error::EngineError;
use crate::request::{Completion, Event, GenerateRequest};
use crate::text::Tokenizer;
use crate::weights::{WeightSet, WeightStore};

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
    /// Current policy version.
    pub version: u64,
    /// Generation is paused.
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

/// A running engine. Cheap to clone; the engine stops when the last handle is dropped.
#[derive(Debug, Clone)]
pub struct EngineHandle {}

impl EngineHandle {
    /// Starts the engine thread. Memory is planned first and refused with the arithmetic if it cannot fit.
    ///
    /// # Errors
    /// [`EngineError::InvalidParameter`] for bounds that cannot hold.
    pub fn start(_weights: Arc<WeightSet>, _tokenizer: Tokenizer, _config: EngineConfig) -> Result<Self, EngineError> {
        unimplemented!()
    }

    /// Queues a request. Does not block.
    ///
    /// # Errors
    /// [`EngineError::InvalidParameter`], [`EngineError::ContextLengthExceeded`], [`EngineError::Overloaded`],
    /// [`EngineError::UnknownWeights`], [`EngineError::Stopped`].
    pub fn submit(&self, _request: GenerateRequest) -> Result<Generation, EngineError> {
        unimplemented!()
    }

    /// Makes `weights` the policy between two steps and waits until it is so.
    ///
    /// # Errors
    /// [`EngineError::IncompatibleWeights`], [`EngineError::Stopped`].
    pub fn publish(&self, _weights: Arc<WeightSet>, _in_flight: InFlight) -> Result<PublishReport, EngineError> {
        unimplemented!()
    }

    /// Stops stepping after the current step (requests are kept), or goes on.
    pub fn set_paused(&self, _paused: bool) {
        unimplemented!()
    }

    /// A snapshot of counters and gauges.
    #[must_use]
    pub fn stats(&self) -> EngineStats {
        unimplemented!()
    }

    /// The weights held.
    #[must_use]
    pub fn weights(&self) -> &WeightStore {
        unimplemented!()
    }

    /// The tokenizer.
    #[must_use]
    pub fn tokenizer(&self) -> &Tokenizer {
        unimplemented!()
    }

    /// Shape of the model.
    #[must_use]
    pub fn model(&self) -> &ModelConfig {
        unimplemented!()
    }

    /// Longest sequence served.
    #[must_use]
    pub fn max_model_len(&self) -> usize {
        unimplemented!()
    }

    /// Bounds in force.
    #[must_use]
    pub fn config(&self) -> &EngineConfig {
        unimplemented!()
    }

    /// Waits for running requests to end, at most `timeout`, then stops the thread; later submits fail with `Stopped`.
    pub fn shutdown(&self, _timeout: std::time::Duration) {
        unimplemented!()
    }
}

/// A submitted request. Dropping it aborts what has not finished.
#[derive(Debug)]
pub struct Generation {}

impl Generation {
    /// The seed in use, drawn if the request had none.
    #[must_use]
    pub fn seed(&self) -> u64 {
        unimplemented!()
    }

    /// The next event; `None` after the last.
    pub async fn next(&mut self) -> Option<Event> {
        unimplemented!()
    }

    /// The next event, blocking the thread; not for async contexts.
    pub fn blocking_next(&mut self) -> Option<Event> {
        unimplemented!()
    }

    /// Waits for the end, blocking.
    ///
    /// # Errors
    /// The error of [`Event::Failed`], or [`EngineError::Stopped`].
    pub fn collect_blocking(self) -> Result<Completion, EngineError> {
        unimplemented!()
    }

    /// Waits for the end.
    ///
    /// # Errors
    /// The error of [`Event::Failed`], or [`EngineError::Stopped`].
    pub async fn collect(self) -> Result<Completion, EngineError> {
        unimplemented!()
    }
}
