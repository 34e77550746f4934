//! `[server.jobs]`: bounds of fine-tuning jobs.

use serde::{Deserialize, Serialize};

/// Bounds of fine-tuning jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct JobsConfig {
    /// Jobs held, with those that have ended.
    pub max_jobs: usize,
    /// Jobs that may wait for the one that runs; one more gets a 429.
    pub max_queued: usize,
    /// Events kept of one job.
    pub max_events: usize,
    /// Streams of events at once; one more gets a 429.
    pub max_event_streams: usize,
    /// Fine-tuned models held in memory beside the policy; the one not asked for longest makes way.
    pub max_resident_models: usize,
}

impl Default for JobsConfig {
    fn default() -> Self {
        Self {
            max_jobs: 1000,
            max_queued: 16,
            max_events: 100_000,
            max_event_streams: 64,
            max_resident_models: 2,
        }
    }
}

impl JobsConfig {
    /// Every bound by its dotted name; each must be at least 1.
    #[must_use]
    pub fn bounds(&self) -> [(&'static str, u64); 5] {
        [
            ("server.jobs.max_jobs", self.max_jobs as u64),
            ("server.jobs.max_queued", self.max_queued as u64),
            ("server.jobs.max_events", self.max_events as u64),
            ("server.jobs.max_event_streams", self.max_event_streams as u64),
            ("server.jobs.max_resident_models", self.max_resident_models as u64),
        ]
    }
}
