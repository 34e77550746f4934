//! Control of the in-process trainer.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

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

/// Query of `GET /v1/train/metrics`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct MetricsQuery {
    /// Id of a run; the current or last one by default.
    pub run: Option<String>,
    /// Names of metrics, separated by commas; all by default.
    pub keys: Option<String>,
    /// Only steps after this one.
    pub since_step: Option<u64>,
    /// Steps at most, 1 to 10000. Default 1000.
    pub limit: Option<usize>,
}

/// Metrics of a run, step by step.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TrainMetrics {
    /// Always `list`.
    pub object: String,
    /// The run.
    pub run_id: String,
    /// Steps, oldest first.
    pub data: Vec<StepMetrics>,
    /// There are more: ask again with `since_step` of the last.
    pub has_more: bool,
}

/// Metrics of one step.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct StepMetrics {
    /// Step, counted from 1.
    pub step: u64,
    /// Metrics by name.
    pub metrics: BTreeMap<String, f64>,
}

/// Query of `GET /v1/train/problems`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ProblemQuery {
    /// Problems on a page, 1 to 1000. Default 100.
    pub limit: Option<usize>,
    /// The id of the last problem of the page before.
    pub after: Option<String>,
    /// `id` (default), `count`, `last`, `max` or `slope`. Problems without a slope come last.
    pub sort: Option<String>,
    /// `asc` (default) or `desc`.
    pub order: Option<String>,
    /// With the accuracy at every visit. Default false.
    pub accuracies: bool,
}

/// How the problems of a run fared.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TrainProblems {
    /// Always `list`.
    pub object: String,
    /// The run: the current one, or the last.
    pub run_id: String,
    /// Problems of which a sample was graded.
    pub total: usize,
    /// A page of them.
    pub data: Vec<TrainProblem>,
    /// There are more: ask again with `after` the id of the last.
    pub has_more: bool,
}

/// How one problem fared in the steps that posed it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TrainProblem {
    /// The problem.
    pub problem_id: String,
    /// Visits: steps that posed it and of which a sample was graded.
    pub count: usize,
    /// Share of correct samples at the last visit, 0 to 1.
    pub last_accuracy: f64,
    /// The best of all visits.
    pub max_accuracy: f64,
    /// Slope of the least-squares line through the accuracies, per visit; null with a single one.
    pub slope: Option<f64>,
    /// Accuracy at each visit, oldest first; only where it was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accuracies: Option<Vec<f64>>,
}

/// Query of `GET /v1/train/config`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ConfigQuery {
    /// Id of a run; the current or last one by default.
    pub run: Option<String>,
}

/// The configuration of a run with everything resolved.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TrainConfiguration {
    /// The run; null: none has begun, and these are the server's defaults.
    pub run_id: Option<String>,
    /// Every key, as in the TOML of `svs train`.
    #[schema(value_type = Object)]
    pub config: serde_json::Value,
    /// Keys that `PATCH /v1/train/config` may change while the run goes on.
    pub changeable: Vec<String>,
    /// What was changed in the run while it went on, oldest first: `at`, `event` (`config` or `rollback`) and what.
    #[schema(value_type = Vec<Object>)]
    pub changes: Vec<serde_json::Value>,
}

/// Body of `PATCH /v1/train/config`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TrainPatch {
    /// Keys laid over the configuration of the run, for its steps to come.
    #[schema(value_type = Object)]
    pub config: serde_json::Map<String, serde_json::Value>,
}

/// Body of `POST /v1/train/rollback`: one of the two.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RollbackRequest {
    /// The weight version of a checkpoint of the run.
    pub version: Option<u64>,
    /// The step after which it was taken.
    pub step: Option<u64>,
}

/// Body of `POST /v1/train/eval`; may be empty.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct EvalRequest {
    /// Samples per problem; those of the run's `eval.samples` by default.
    pub samples: Option<u32>,
    /// Problems at most; the run's `eval.limit` by default.
    pub limit: Option<usize>,
}

/// What an evaluation found.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Evaluated {
    /// Always `train.evaluation`.
    pub object: String,
    /// The weights that were evaluated.
    pub weight_version: u64,
    /// Problems.
    pub problems: usize,
    /// Samples per problem.
    pub samples: u32,
    /// Figures by name, as in the metrics of a run.
    pub metrics: BTreeMap<String, f64>,
}
