//! The training loop and its controls: config, thread, status.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use svs_engine::EngineHandle;
use svs_engine::load::LoadedModel;

use crate::log::TrajectoryLog;

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
    /// A run is already active (start), or none is (pause, resume, stop).
    #[error("{0}")]
    State(String),
    /// Anything that stopped the run: disk, log, engine, data.
    #[error("{0}")]
    Run(String),
}

/// Configuration of a run (TOML or JSON). Unknown keys are errors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrainConfig {
    /// `svs` or `grpo`.
    pub recipe: String,
    /// Steps to run.
    pub steps: u64,
    /// Run seed.
    pub seed: u64,
}

impl Default for TrainConfig {
    fn default() -> Self {
        Self {
            recipe: "svs".into(),
            steps: 20,
            seed: 0,
        }
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
    /// What the step is doing: `rollout`, `verify`, `synthesize`, `update`, `publish`, `checkpoint`.
    pub phase: String,
    /// Version served.
    pub version: u64,
    /// Metrics of the last step by name (names in docs/svs.md).
    pub metrics: BTreeMap<String, f64>,
    /// Why it failed.
    pub error: Option<String>,
}

/// Handle on the in-process trainer. Cheap to clone; at most one run at a time.
#[derive(Debug, Clone)]
pub struct TrainerHandle {}

impl TrainerHandle {
    /// A trainer for the model that `engine` serves. Nothing runs until `start`.
    #[must_use]
    pub fn new(
        _engine: EngineHandle,
        _model: Arc<LoadedModel>,
        _log: TrajectoryLog,
        _runs: std::path::PathBuf,
    ) -> Self {
        unimplemented!()
    }

    /// Starts a run, or continues one from its last checkpoint when `resume` is true.
    ///
    /// # Errors
    /// [`TrainError::Config`], [`TrainError::State`], [`TrainError::Run`].
    pub fn start(&self, _config: TrainConfig, _resume: bool) -> Result<TrainStatus, TrainError> {
        unimplemented!()
    }

    /// Pauses after the current step.
    ///
    /// # Errors
    /// [`TrainError::State`].
    pub fn pause(&self) -> Result<TrainStatus, TrainError> {
        unimplemented!()
    }

    /// Goes on after a pause.
    ///
    /// # Errors
    /// [`TrainError::State`].
    pub fn resume(&self) -> Result<TrainStatus, TrainError> {
        unimplemented!()
    }

    /// Stops after the current step and writes a checkpoint.
    ///
    /// # Errors
    /// [`TrainError::State`].
    pub fn stop(&self) -> Result<TrainStatus, TrainError> {
        unimplemented!()
    }

    /// Where the run stands.
    #[must_use]
    pub fn status(&self) -> TrainStatus {
        unimplemented!()
    }
}
