//! Parts that both generation routes share.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Options of a streamed response.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct StreamOptions {
    /// Send one more chunk with the token counts before `[DONE]`.
    pub include_usage: bool,
}

/// Token counts of a request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Usage {
    /// Tokens of the prompt; a prompt sampled `n` times counts once.
    pub prompt_tokens: usize,
    /// Tokens sampled over all choices.
    pub completion_tokens: usize,
    /// Sum of both.
    pub total_tokens: usize,
}

/// Sampled tokens drawn under one weight version, half-open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WeightVersionSpan {
    /// Weight version.
    pub version: u64,
    /// First sampled token.
    pub start: u32,
    /// One past the last.
    pub end: u32,
}

/// What distribution the logprobs beside it are of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum LogprobsMode {
    /// The one the token was drawn from: after bias, penalties, grammar, temperature and truncation, renormalised. Of
    /// greedy tokens it is the one at temperature 1.
    Behaviour,
}

/// Logprobs of sampled tokens, nats, one entry per token: what a trainer's importance ratios need.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SampledLogprobs {
    /// Of the distribution drawn from, see [`LogprobsMode::Behaviour`].
    pub behaviour: Vec<f32>,
    /// Of the model's own logits: at temperature 1, without bias, penalties, grammar and truncation.
    pub raw: Vec<f32>,
    /// Logits below this, after bias, penalties and temperature, were cut by `top_k`, `min_p` or `top_p`; null where none
    /// were.
    pub thresholds: Vec<Option<f32>>,
}

/// Logprob of one candidate for a prompt position.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PromptLogprob {
    /// Logprob of the model's own logits, nats.
    pub logprob: f32,
    /// Text of the token.
    pub decoded_token: String,
}

/// Per prompt position: candidates by token id (the token that is there, then the most likely); null for the first.
pub type PromptLogprobs = Vec<Option<BTreeMap<u32, PromptLogprob>>>;
