//! Fine-tuning jobs, in OpenAI's shapes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};

/// Body of `POST /v1/fine_tuning/jobs`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateJob {
    /// The served model.
    pub model: String,
    /// Id of an uploaded file.
    pub training_file: String,
    /// Id of an uploaded file that is evaluated on; of a supervised job, whose loss is measured.
    pub validation_file: Option<String>,
    /// Part of the name of the fine-tuned model: 1 to 64 letters, digits, `-` and `_`.
    pub suffix: Option<String>,
    /// Seed of the run. Default: the server's.
    pub seed: Option<u64>,
    /// Up to 16 texts of at most 512 characters, by keys of at most 64.
    pub metadata: Option<BTreeMap<String, String>>,
    /// How it is trained. Default: `supervised`, with the server's own values.
    pub method: Option<Method>,
    /// Where older clients have those of a supervised job.
    pub hyperparameters: Option<SupervisedHyperparameters>,
}

/// How a job trains.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Method {
    /// `supervised` or `reinforcement`.
    #[serde(rename = "type")]
    pub kind: String,
    /// What goes with `supervised`.
    pub supervised: Option<Supervised>,
    /// What goes with `reinforcement`.
    pub reinforcement: Option<Reinforcement>,
}

/// Learning the assistant's turns in the file.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Supervised {
    /// What may be set in OpenAI's words.
    pub hyperparameters: Option<SupervisedHyperparameters>,
    /// What may be set in this server's own.
    pub x_svs: Option<SupervisedExtension>,
}

/// Hyperparameters of supervised learning; `"auto"` is the server's own value.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SupervisedHyperparameters {
    /// Conversations per step, or `"auto"`: the server's problems per step, or the whole file where it has fewer lines.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch_size: Option<Value>,
    /// Multiplies a learning rate of 1e-5, or `"auto"`: 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub learning_rate_multiplier: Option<Value>,
    /// Passes over the file, or `"auto"`: 3.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub n_epochs: Option<Value>,
}

/// Settings of svs beyond OpenAI's, for a supervised job.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SupervisedExtension {
    /// Keys of the training configuration (docs/config.md) that a supervised run looks at, dotted or nested, laid over
    /// everything else.
    pub config: Map<String, Value>,
}

/// Reinforcement learning from a grader.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Reinforcement {
    /// The grader (docs/graders.md).
    #[schema(value_type = Object)]
    pub grader: Value,
    /// What may be set in OpenAI's words.
    pub hyperparameters: Option<Hyperparameters>,
    /// What may be set in this server's own.
    pub x_svs: Option<Extension>,
}

/// Hyperparameters of reinforcement learning; `"auto"` is the server's own value.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Hyperparameters {
    /// Problems per step, or `"auto"`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch_size: Option<Value>,
    /// Multiplies the server's learning rate, or `"auto"`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub learning_rate_multiplier: Option<Value>,
    /// Passes over the file, or `"auto"`: the server's number of steps.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub n_epochs: Option<Value>,
    /// Multiplies the server's samples per problem, or `"auto"`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compute_multiplier: Option<Value>,
    /// Steps between evaluations, or `"auto"`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub eval_interval: Option<Value>,
    /// Samples per problem of an evaluation, or `"auto"`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub eval_samples: Option<Value>,
    /// Only `default`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning_effort: Option<String>,
}

/// Settings of svs beyond OpenAI's.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Extension {
    /// `grpo` (default) or `svs`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recipe: Option<String>,
    /// Keys of the training configuration (docs/config.md), dotted or nested, laid over everything else.
    pub config: Map<String, Value>,
}

/// A job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Job {
    /// Its id; also that of its run.
    pub id: String,
    /// `fine_tuning.job`.
    pub object: String,
    /// When it was made, seconds since the epoch.
    pub created_at: u64,
    /// When it ended.
    pub finished_at: Option<u64>,
    /// `validating_files`, `queued`, `running`, `paused`, `succeeded`, `failed` or `cancelled`.
    pub status: String,
    /// Why it failed.
    pub error: Option<JobFailure>,
    /// The model that it began with.
    pub model: String,
    /// The name of what came out, once it has succeeded.
    pub fine_tuned_model: Option<String>,
    /// As in `method`.
    #[schema(value_type = Object)]
    pub hyperparameters: Value,
    /// How it trains, hyperparameters resolved.
    #[schema(value_type = Object)]
    pub method: Value,
    /// Always `svs`.
    pub organization_id: String,
    /// Always empty: GET /v1/train/metrics?run=ID has the metrics.
    pub result_files: Vec<String>,
    /// Seed of the run.
    pub seed: u64,
    /// Tokens trained on, once it has ended.
    pub trained_tokens: Option<u64>,
    /// The file that it was made with.
    pub training_file: String,
    /// The file that it evaluates on.
    pub validation_file: Option<String>,
    /// Always empty.
    pub integrations: Vec<Value>,
    /// As given.
    pub metadata: Option<BTreeMap<String, String>>,
    /// Always null.
    pub estimated_finish: Option<u64>,
}

/// Why a job failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct JobFailure {
    /// `invalid_training_file`, `invalid_validation_file` or `training_failed`.
    pub code: String,
    /// In words.
    pub message: String,
    /// The parameter at fault.
    pub param: Option<String>,
}

/// Query of lists of jobs and of checkpoints.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct JobQuery {
    /// Items on a page, 1 to 100. Default 20 jobs, 10 checkpoints.
    pub limit: Option<usize>,
    /// The id of the last item of the page before.
    pub after: Option<String>,
}

/// A page of jobs, newest first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct JobList {
    /// `list`.
    pub object: String,
    /// The jobs.
    pub data: Vec<Job>,
    /// Whether there are more behind it.
    pub has_more: bool,
}

/// Query of `GET /v1/fine_tuning/jobs/{id}/events`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct EventQuery {
    /// Events on a page, 1 to 1000. Default 20.
    pub limit: Option<usize>,
    /// The id of the last event of the page before; of a stream, of the last one seen.
    pub after: Option<String>,
    /// Server-sent events, oldest first, until the job ends.
    pub stream: Option<bool>,
}

/// Something that happened to a job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct JobEvent {
    /// Its id.
    pub id: String,
    /// `fine_tuning.job.event`.
    pub object: String,
    /// When, seconds since the epoch.
    pub created_at: u64,
    /// `info`, `warn` or `error`.
    pub level: String,
    /// In words.
    pub message: String,
    /// `message`, or `metrics` after a step.
    #[serde(rename = "type")]
    pub kind: String,
    /// The metrics of the step, with `step`.
    #[schema(value_type = Object)]
    pub data: Value,
}

/// A page of events, newest first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct EventList {
    /// `list`.
    pub object: String,
    /// The events.
    pub data: Vec<JobEvent>,
    /// Whether there are more behind it.
    pub has_more: bool,
}

/// Weights of a job after one of its steps, which a request may name as its model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct JobCheckpoint {
    /// Its id.
    pub id: String,
    /// `fine_tuning.job.checkpoint`.
    pub object: String,
    /// When it was written, seconds since the epoch.
    pub created_at: u64,
    /// Name to send as `model`.
    pub fine_tuned_model_checkpoint: String,
    /// The job.
    pub fine_tuning_job_id: String,
    /// It was taken after this step.
    pub step_number: u64,
    /// The metrics of the step, with `step`.
    #[schema(value_type = Object)]
    pub metrics: Value,
}

/// A page of checkpoints, newest first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CheckpointList {
    /// `list`.
    pub object: String,
    /// The checkpoints that are still kept.
    pub data: Vec<JobCheckpoint>,
    /// Id of the first.
    pub first_id: Option<String>,
    /// Id of the last.
    pub last_id: Option<String>,
    /// Whether there are more behind it.
    pub has_more: bool,
}
