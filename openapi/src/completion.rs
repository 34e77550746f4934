//! `POST /v1/completions`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::common::{LogprobsMode, PromptLogprobs, SampledLogprobs, StreamOptions, Usage, WeightVersionSpan};
use crate::flexible::{Prompt, Seed, TextOrList};
use crate::guide::{JsonSchema, ResponseFormat, StructuredOutputs};
use crate::sampling::generation_request;

generation_request! {
    /// One or several prompts to continue. Unknown and unsupported fields are refused by name.
    pub struct CompletionRequest {
        /// A name from `/v1/models`.
        pub model: String,
        /// Text or token ids, one or several.
        pub prompt: Prompt,
        /// Put the prompt before the text; with `logprobs` its tokens are scored too, and `max_tokens` may be 0.
        pub echo: Option<bool>,
        /// Return logprobs with so many alternatives per token, 0 to 20.
        pub logprobs: Option<u32>,
        /// Only 1, or `n`.
        pub best_of: Option<u32>,
    }
}

/// Logprobs of a choice, nats: of sampled tokens under the distribution they were drawn from, of echoed prompt tokens
/// under the model's own logits. All lists have one entry per token.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CompletionLogprobs {
    /// Where each token starts in `text`, in characters.
    pub text_offset: Vec<usize>,
    /// Logprobs; null for the first token of an echoed prompt.
    pub token_logprobs: Vec<Option<f32>>,
    /// Text of each token.
    pub tokens: Vec<String>,
    /// Alternatives by text, best first, the token itself included; null for the first token of an echoed prompt.
    #[schema(value_type = Vec<Option<BTreeMap<String, f32>>>)]
    pub top_logprobs: Vec<Option<serde_json::Map<String, serde_json::Value>>>,
}

/// A continuation; in a stream, a part of one.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CompletionChoice {
    /// Prompt index times `n` plus sample index.
    pub index: u32,
    /// The text.
    pub text: String,
    /// Present if asked for.
    pub logprobs: Option<CompletionLogprobs>,
    /// What `logprobs` are of, beside them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logprobs_mode: Option<LogprobsMode>,
    /// With `return_raw_logprobs`; in a stream, of the new tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sampled_logprobs: Option<SampledLogprobs>,
    /// `stop`, `length` or `abort`; null in all but the last chunk.
    pub finish_reason: Option<String>,
    /// The stop string that matched.
    pub stop_reason: Option<String>,
    /// Sampled tokens, with `return_token_ids`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_ids: Option<Vec<u32>>,
    /// With `return_token_ids`; in a stream, in the first chunk of the choice.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt_token_ids: Option<Vec<u32>>,
    /// With `prompt_logprobs`; in a stream, in the first chunk of the choice.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<Option<BTreeMap<String, crate::common::PromptLogprob>>>>)]
    pub prompt_logprobs: Option<PromptLogprobs>,
    /// With `return_weight_versions`; in a stream, in the last chunk of the choice.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight_versions: Option<Vec<WeightVersionSpan>>,
    /// The seed used for this prompt; in a stream, in the last chunk of the choice.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
}

/// A whole answer, or one server-sent event of a streamed one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Completion {
    /// Id of the request.
    pub id: String,
    /// Always `text_completion`.
    pub object: String,
    /// Seconds since the epoch.
    pub created: u64,
    /// The name asked for.
    pub model: String,
    /// The continuations by index; in a stream at most one.
    pub choices: Vec<CompletionChoice>,
    /// Token counts; in a stream only in the usage chunk.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    /// Newest weight version that a token was drawn under; in a stream in the last chunk of each choice.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight_version: Option<u64>,
}
