//! The two phases of a run: prompts until every sequence has its first token, then decoding.

use std::time::Duration;

use svs_engine::runtime::EngineStats;

/// What a phase took.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Phase {
    /// Tokens of prompts, or sampled ones.
    pub(super) tokens: usize,
    /// Wall time.
    pub(super) seconds: f64,
    /// Steps of the engine.
    pub(super) steps: u64,
    /// Seconds of these steps.
    pub(super) step_seconds: f64,
    /// Seconds of the steps in the decoder.
    pub(super) decoder_seconds: f64,
    /// Seconds of the steps in the sampler.
    pub(super) sampler_seconds: f64,
}

impl Phase {
    /// The phase between two snapshots of the engine.
    pub(super) fn between(tokens: usize, wall: Duration, from: &EngineStats, to: &EngineStats) -> Self {
        Self {
            tokens,
            seconds: wall.as_secs_f64(),
            steps: to.steps - from.steps,
            step_seconds: to.step_seconds - from.step_seconds,
            decoder_seconds: to.decoder_seconds - from.decoder_seconds,
            sampler_seconds: to.sampler_seconds - from.sampler_seconds,
        }
    }

    pub(super) fn tokens_per_second(&self) -> f64 {
        self.tokens as f64 / self.seconds
    }

    /// Share of the wall time that was neither decoder nor sampler.
    pub(super) fn overhead(&self) -> f64 {
        // The counters end with the step, the clock with its last token: a phase of a few microseconds may seem to be all step.
        (1.0 - (self.decoder_seconds + self.sampler_seconds) / self.seconds).max(0.0)
    }
}

/// One run of a load.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Run {
    pub(super) prefill: Phase,
    pub(super) decode: Phase,
    /// Time to the first token of each sequence, ascending, ms.
    pub(super) ttft_ms: Vec<f64>,
    /// Times between tokens of a sequence, all sequences together, ascending, ms.
    pub(super) itl_ms: Vec<f64>,
}

/// The value below which a share of an ascending list lies; 0 of an empty one.
pub(super) fn quantile(ascending: &[f64], share: f64) -> f64 {
    let last = ascending.len().saturating_sub(1);
    let at = (last as f64 * share).round() as usize;
    ascending.get(at).copied().unwrap_or(0.0)
}
