//! Control of the in-process trainer.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Body of `POST /v1/train/start`. An empty body starts a run with the server's defaults.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TrainStartRequest {
    /// Configuration of the run; keys as in the TOML of `svs train`, absent ones take their default.
    #[schema(value_type = Object)]
    pub config: serde_json::Value,
    /// Continue from the last checkpoint.
    pub resume: bool,
}

/// Where a run stands.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TrainStatus {
    /// `idle`, `running`, `paused`, `stopping`, `finished` or `failed`.
    pub state: String,
    /// Id of the run.
    pub run_id: Option<String>,
    /// Steps done.
    pub step: u64,
    /// Steps planned.
    pub steps: u64,
    /// What the step is doing.
    pub phase: String,
    /// Weight version served.
    pub weight_version: u64,
    /// Metrics of the last step by name.
    pub metrics: BTreeMap<String, f64>,
    /// Why the run failed.
    pub error: Option<String>,
    /// Set while the phase has made no progress for the run's `watchdog_s`.
    pub stalled: Option<TrainStalled>,
}

/// A phase that makes no progress.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TrainStalled {
    /// The phase.
    pub phase: String,
    /// How long nothing has changed, s.
    pub since_s: f64,
    /// What it waits for, in words.
    pub waits_for: String,
}
