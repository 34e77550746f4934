//! `POST /v1/score`: logprobs and entropies of given tokens.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::common::Usage;
use crate::flexible::Prompt;

/// Responses to score after a prompt. Unknown fields are refused by name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ScoreRequest {
    /// A name from `/v1/models`.
    pub model: String,
    /// What comes before: one text or one list of token ids; not scored.
    pub prompt: Prompt,
    /// What is scored, one or several, each after the same prompt: text or token ids. A text is encoded on its own.
    pub response: Prompt,
    /// Logits are divided by it, above 0 to 2. Default 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    /// Weight version to score under, if the server still holds it. Default: the newest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight_version: Option<u64>,
    /// Separates the prefix cache of different tenants; 1 to 1024 bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_salt: Option<String>,
}

/// One scored response; the lists have one entry per token.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ScoredResponse {
    /// Which response.
    pub index: u32,
    /// Its tokens.
    pub token_ids: Vec<u32>,
    /// Logprob of each token, nats: what sampling it at this temperature would have recorded.
    pub logprobs: Vec<f32>,
    /// Entropy of the distribution at each token, nats.
    pub entropies: Vec<f32>,
    /// Weight version that all of them are of.
    pub weight_version: u64,
}

/// The scores.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ScoreList {
    /// Id of the request.
    pub id: String,
    /// Always `list`.
    pub object: String,
    /// Seconds since the epoch.
    pub created: u64,
    /// The name asked for.
    pub model: String,
    /// One entry per response.
    pub data: Vec<ScoredResponse>,
    /// Token counts: those of the prompt count once, the responses' as completion tokens.
    pub usage: Usage,
}
