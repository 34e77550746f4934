//! Trying graders out, in OpenAI's shapes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

/// Body of `POST /v1/fine_tuning/alpha/graders/validate`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ValidateGrader {
    /// The grader (docs/graders.md).
    #[schema(value_type = Object)]
    pub grader: Value,
}

/// The grader can be used.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct GraderValidated {
    /// The grader as it was read.
    #[schema(value_type = Object)]
    pub grader: Value,
}

/// Body of `POST /v1/fine_tuning/alpha/graders/run`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RunGrader {
    /// The grader (docs/graders.md).
    #[schema(value_type = Object)]
    pub grader: Value,
    /// The response to grade: `{{sample.output_text}}`, and `{{sample.output_json}}` if it is JSON.
    pub model_sample: String,
    /// What `{{item.*}}` names.
    #[schema(value_type = Object)]
    pub item: Option<serde_json::Map<String, Value>>,
}

/// What a grader found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct GraderRun {
    /// The reward; null where the fault is not the response's, which is no reward of 0.
    pub reward: Option<f64>,
    /// Always empty: parts of a `multi` grader are not told apart.
    pub sub_rewards: BTreeMap<String, f64>,
    /// How it went.
    pub metadata: GraderRunMetadata,
    /// Always empty.
    pub model_grader_token_usage_per_model: BTreeMap<String, u64>,
}

/// How a grader's run went.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct GraderRunMetadata {
    /// Name of the grader.
    pub name: String,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: String,
    /// Time that it took, s.
    pub execution_time: f64,
    /// The reward by the grader's name.
    pub scores: BTreeMap<String, f64>,
    /// Always null.
    pub token_usage: Option<u64>,
    /// Always null.
    pub sampled_model_name: Option<String>,
    /// `correct`, `wrong`, `no_answer`, `unparseable`, `over_budget` or `infrastructure`.
    pub verdict: String,
    /// What went wrong.
    pub errors: GraderRunErrors,
}

/// What went wrong in a grader's run, in OpenAI's words.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GraderRunErrors {
    /// Always false: formulas are checked before.
    pub formula_parse_error: bool,
    /// The response could not be read.
    pub sample_parse_error: bool,
    /// Always false.
    pub truncated_observation_error: bool,
    /// Always false.
    pub unresponsive_reward_error: bool,
    /// Always false.
    pub invalid_variable_error: bool,
    /// The grader's step budget ran out, or it failed otherwise.
    pub other_error: bool,
    /// Always false.
    pub python_grader_server_error: bool,
    /// Always null.
    pub python_grader_server_error_type: Option<String>,
    /// Always false.
    pub python_grader_runtime_error: bool,
    /// Always null.
    pub python_grader_runtime_error_details: Option<String>,
    /// An endpoint that the grader asks failed.
    pub model_grader_server_error: bool,
    /// Always false.
    pub model_grader_refusal_error: bool,
    /// Always false.
    pub model_grader_parse_error: bool,
    /// Always null.
    pub model_grader_server_error_details: Option<String>,
}
