//! The training loop and its controls: config, thread, status.

pub mod accuracy;
mod batch;
mod behind;
pub mod changes;
mod claim;
mod clients;
pub mod config;
mod control;
mod epochs;
mod fates;
mod fork;
mod handle;
pub mod history;
mod kept;
mod lock;
pub mod memory;
mod open;
mod perform;
mod provenance;
mod publish;
mod rollouts;
mod room;
mod runner;
mod sampling;
mod shaped;
mod skipped;
pub mod source;
mod supervised;
mod tally;
mod task;
mod tensorboard;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod totals;
mod ungraded;
mod watchdog;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use clients::Backlog;
pub use config::{Fault, FaultKind, TrainConfig};
pub use handle::TrainerHandle;
pub use kept::Checkpoint;
pub use task::{Outcome, Target, Task};
pub use totals::Totals;

/// Errors of starting or running a training.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// A config value is out of range or inconsistent; `field` is its dotted name.
    #[error("{field}: {reason}")]
    Config {
        /// Dotted name in the TOML.
        field: String,
        /// What is wrong and what is allowed.
        reason: String,
    },
    /// Several things are wrong with the configuration.
    #[error("{}{} faults:{}", .0.len(), config::or_more(.0), .0.iter().map(|fault| format!("\n  {fault}")).collect::<String>())]
    Faults(Vec<config::Fault>),
    /// A run is already active (start), or none is (pause, resume, stop).
    #[error("{0}")]
    State(String),
    /// The machine has not the memory.
    #[error("{0}; train an adapter (`[lora]`), give the engine fewer KV blocks or bf16 weights, or free memory")]
    NoRoom(String),
    /// The engine sleeps.
    #[error("the engine sleeps; wake it up first")]
    Asleep,
    /// Anything that stopped the run: disk, log, engine, data.
    #[error("{0}")]
    Run(String),
}

impl From<svs_engine::EngineError> for TrainError {
    fn from(error: svs_engine::EngineError) -> Self {
        Self::Run(error.to_string())
    }
}

impl From<crate::log::LogError> for TrainError {
    fn from(error: crate::log::LogError) -> Self {
        Self::Run(error.to_string())
    }
}

impl From<crate::policy::PolicyError> for TrainError {
    fn from(error: crate::policy::PolicyError) -> Self {
        match error {
            crate::policy::PolicyError::Config { field, reason } => Self::Config {
                field: field.into(),
                reason,
            },
            error => Self::Run(error.to_string()),
        }
    }
}

impl From<crate::checkpoint::CheckpointError> for TrainError {
    fn from(error: crate::checkpoint::CheckpointError) -> Self {
        Self::Run(error.to_string())
    }
}

impl From<svs_engine::text::TextError> for TrainError {
    fn from(error: svs_engine::text::TextError) -> Self {
        Self::Run(error.to_string())
    }
}

/// Where a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// No run yet.
    #[default]
    Idle,
    /// Stepping.
    Running,
    /// Paused between steps.
    Paused,
    /// Finishing the current step.
    Stopping,
    /// All steps done, or stopped on request.
    Finished,
    /// Ended by an error; see `error`.
    Failed,
}

/// A phase that makes no progress.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Stalled {
    /// The phase.
    pub phase: String,
    /// How long nothing has changed, s.
    pub since_s: f64,
    /// What it waits for, in words.
    pub waits_for: String,
}

/// A snapshot for `GET /v1/train/status`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TrainStatus {
    /// State.
    pub state: RunState,
    /// Id of the run.
    pub run_id: Option<String>,
    /// Steps done.
    pub step: u64,
    /// Steps planned.
    pub steps: u64,
    /// What the step is doing: `start`, `rollout`, `synthesize`, `wait` (for clients), `update`,
    /// `publish`, `evaluate`, `checkpoint`, `save`.
    pub phase: String,
    /// How much of the phase is done, in groups, or requests of an evaluation; 0 where it cannot be told.
    #[serde(default)]
    pub phase_done: u64,
    /// Groups or requests of the phase in all.
    #[serde(default)]
    pub phase_total: u64,
    /// Version served.
    pub version: u64,
    /// Metrics of the last step by name (names in docs/svs.md).
    pub metrics: BTreeMap<String, f64>,
    /// Why it failed.
    pub error: Option<String>,
    /// Set while nothing has changed for `watchdog_s`.
    #[serde(default)]
    pub stalled: Option<Stalled>,
}
