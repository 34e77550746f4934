//! Logged trajectories: listings, single ones, later rewards, exports.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use crate::common::WeightVersionSpan;

/// Query of `GET /v1/trajectories`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct TrajectoryQuery {
    /// Trajectories on a page, 1 to 100. Default 20.
    pub limit: Option<usize>,
    /// The id of the last trajectory of the page before.
    pub after: Option<String>,
    /// `desc` (newest first, default) or `asc`.
    pub order: Option<String>,
    /// Only this session's.
    pub session: Option<String>,
    /// Only this group's.
    pub group: Option<String>,
    /// Only what this run sampled or was trained on.
    pub run: Option<String>,
    /// `rollout`, `synthesis`, `synthetic` or `client`.
    pub kind: Option<String>,
    /// Only with a token of this weight version or a newer one.
    pub min_weight_version: Option<u64>,
    /// Only with a token of this weight version or an older one.
    pub max_weight_version: Option<u64>,
    /// Only with this reward or a higher one.
    pub min_reward: Option<f64>,
    /// Only with this reward or a lower one.
    pub max_reward: Option<f64>,
    /// Only sampled at this time or later, seconds since the epoch.
    pub created_after: Option<f64>,
    /// Only sampled before this time, seconds since the epoch.
    pub created_before: Option<f64>,
}

/// Query of `GET /v1/trajectories/export`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ExportQuery {
    /// `jsonl` (default) or `parquet`.
    pub format: Option<String>,
    /// Only this session's.
    pub session: Option<String>,
    /// Only this group's.
    pub group: Option<String>,
    /// Only what this run sampled or was trained on.
    pub run: Option<String>,
    /// `rollout`, `synthesis`, `synthetic` or `client`.
    pub kind: Option<String>,
    /// Only with a token of this weight version or a newer one.
    pub min_weight_version: Option<u64>,
    /// Only with a token of this weight version or an older one.
    pub max_weight_version: Option<u64>,
    /// Only with this reward or a higher one.
    pub min_reward: Option<f64>,
    /// Only with this reward or a lower one.
    pub max_reward: Option<f64>,
    /// Only sampled at this time or later, seconds since the epoch.
    pub created_after: Option<f64>,
    /// Only sampled before this time, seconds since the epoch.
    pub created_before: Option<f64>,
}

/// A trajectory as listed.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TrajectorySummary {
    /// Its id.
    pub id: String,
    /// Always `trajectory`.
    pub object: String,
    /// When it was sampled, seconds since the epoch.
    pub created_at: f64,
    /// The run that sampled it, or that trained on a client's.
    pub run: Option<String>,
    /// The step it was sampled for; null for a client's.
    pub step: Option<u64>,
    /// The session of an outside agent.
    pub session: Option<String>,
    /// Trajectories of one group are compared with each other.
    pub group: String,
    /// `rollout`, `synthesis`, `synthetic` or `client`.
    pub kind: String,
    /// Oldest weight version that a token was sampled from.
    pub weight_version_min: Option<u64>,
    /// Newest one.
    pub weight_version_max: Option<u64>,
    /// Tokens before anything was sampled.
    pub prompt_tokens: usize,
    /// Tokens behind the prompt.
    pub response_tokens: usize,
    /// The last reward; null where there is none, which masks the trajectory.
    pub reward: Option<f64>,
    /// What the last grader found: `correct`, `wrong`, `no_answer`, `unparseable`, `over_budget` or `infrastructure`.
    pub verdict: Option<String>,
    /// The end of the prompt, at most 200 characters.
    pub problem_excerpt: String,
    /// The beginning of the response, at most 200 characters.
    pub response_excerpt: String,
}

/// A page of trajectories.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TrajectoryList {
    /// Always `list`.
    pub object: String,
    /// The trajectories.
    pub data: Vec<TrajectorySummary>,
    /// Id of the first.
    pub first_id: Option<String>,
    /// Id of the last, for `after`.
    pub last_id: Option<String>,
    /// There are more behind these.
    pub has_more: bool,
    /// Rows that belong on this page and cannot be read.
    pub unreadable: usize,
}

/// A run of tokens of one origin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TrajectorySegment {
    /// `prompt`, `sampled`, `forced` or `env`.
    pub role: String,
    /// Tokens.
    pub tokens: usize,
    /// Whether the loss may reach them.
    pub trainable: bool,
}

/// What one grader, or a client, found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Finding {
    /// The grader; `client` for a reward that came over HTTP.
    pub grader: String,
    /// `correct`, `wrong`, `no_answer`, `unparseable`, `over_budget` or `infrastructure`.
    pub verdict: String,
    /// The reward; null masks the trajectory.
    pub reward: Option<f64>,
    /// Why, in words, where the grader says.
    pub explanation: Option<String>,
}

/// Where a synthetic problem came from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Origin {
    /// The trajectory that wrote the problem.
    pub synthesis: Option<String>,
    /// What it wrote.
    pub synthesis_response: Option<String>,
    /// The solution that it was given, a trajectory.
    pub solution: Option<String>,
    /// The prompt of that solution: the original problem.
    pub problem: Option<String>,
    /// That solution.
    pub solution_response: Option<String>,
}

/// All of a trajectory.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Trajectory {
    /// What a listing says of it.
    #[serde(flatten)]
    pub summary: TrajectorySummary,
    /// Text of the prompt, special tokens included; null if it is no text of the model that is served.
    pub prompt: Option<String>,
    /// Token ids of the prompt.
    pub prompt_token_ids: Vec<u32>,
    /// Text of the response.
    pub response: String,
    /// Token ids of the response, in order.
    pub response_token_ids: Vec<u32>,
    /// What each of them adds to the text; null as `prompt`.
    pub response_token_texts: Option<Vec<String>>,
    /// Where the tokens came from, prompt first.
    pub segments: Vec<TrajectorySegment>,
    /// Behaviour logprob of each sampled token, nats.
    pub logprobs: Vec<f32>,
    /// Logprob of each sampled token under the model's own logits, nats.
    pub raw_logprobs: Vec<f32>,
    /// Processed logits below this were cut when the token was drawn; null where none were.
    pub thresholds: Vec<Option<f32>>,
    /// Versions of the sampled tokens.
    pub weight_versions: Vec<WeightVersionSpan>,
    /// Findings in order; the last counts.
    pub findings: Vec<Finding>,
    /// Its group waits for its reward.
    pub awaits_reward: bool,
    /// The problem.
    pub problem_id: Option<String>,
    /// The trajectory or problem that it descends from.
    pub parent: Option<String>,
    /// Where the synthetic problem came from, for `synthesis` and `synthetic`.
    pub origin: Option<Origin>,
    /// Reference answer.
    pub reference: Option<String>,
    /// The adapter that it was sampled from.
    pub adapter: Option<String>,
    /// `stop`, `length` or `abort`.
    pub finish_reason: String,
    /// How it was sampled.
    #[schema(value_type = Object)]
    pub sampling: Value,
    /// What the client gave.
    #[schema(value_type = Option<Object>, required)]
    pub metadata: Value,
    /// When it was trained on, seconds since the epoch.
    pub trained_at: Option<f64>,
    /// The run that trained on it.
    pub trained_by: Option<String>,
}

/// Body of `POST /v1/trajectories/{id}/reward`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RewardRequest {
    /// The reward, between -1e6 and 1e6. At least the run's `reward.pass_threshold` counts as correct.
    pub reward: f64,
    /// Why, at most 2000 characters.
    pub explanation: Option<String>,
}

/// A reward is noted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Rewarded {
    /// The trajectory.
    pub id: String,
    /// Always `trajectory.reward`.
    pub object: String,
    /// Its reward now.
    pub reward: f64,
}
