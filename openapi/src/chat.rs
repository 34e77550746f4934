//! `POST /v1/chat/completions`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::common::{LogprobsMode, PromptLogprobs, SampledLogprobs, StreamOptions, Usage, WeightVersionSpan};
use crate::flexible::{Content, Seed, TextOrList};
use crate::guide::{JsonSchema, ResponseFormat, StructuredOutputs};
use crate::sampling::generation_request;
use crate::tools::{Tool, ToolCall, ToolCallDelta, ToolChoice};

generation_request! {
    /// A chat to continue. Unknown and unsupported fields are refused by name.
    pub struct ChatCompletionRequest {
        /// A name from `/v1/models`.
        pub model: String,
        /// The chat so far, at least one message.
        pub messages: Vec<Message>,
        /// Return the logprob of every sampled token.
        pub logprobs: Option<bool>,
        /// Alternatives per sampled token, 0 to 20; needs `logprobs: true`.
        pub top_logprobs: Option<u32>,
        /// Most tokens to sample per choice; the newer name of `max_tokens`. Default: what the context leaves.
        pub max_completion_tokens: Option<u32>,
        /// Functions that the model may call, at most 128.
        pub tools: Option<Vec<Tool>>,
        /// `auto` (the model decides; the default with tools), `none` (tools are not shown), `required` (at least one call)
        /// or one function, which is then called once.
        pub tool_choice: Option<ToolChoice>,
        /// `false`: at most one call.
        pub parallel_tool_calls: Option<bool>,
    }
}

/// One message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Message {
    /// `system`, `developer`, `user`, `assistant` or `tool`.
    pub role: String,
    /// What was said; an `assistant` that calls functions need not say anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<Content>,
    /// Calls that an `assistant` made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_calls: Option<Vec<ToolCall>>,
    /// The call that a `tool` answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_call_id: Option<String>,
}

/// The answer of the model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AssistantMessage {
    /// Always `assistant`.
    pub role: String,
    /// The text; null where the answer is nothing but calls.
    pub content: Option<String>,
    /// Always null.
    pub refusal: Option<String>,
    /// Functions that the model calls.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_calls: Option<Vec<ToolCall>>,
}

/// Logprobs of a choice.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ChatLogprobs {
    /// One entry per sampled token.
    pub content: Vec<TokenLogprob>,
    /// Always null.
    pub refusal: Option<Vec<TokenLogprob>>,
}

/// A sampled token. Logprobs are of the distribution it was drawn from, in nats.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TokenLogprob {
    /// Text of the token.
    pub token: String,
    /// Logprob, nats; values below -9999 are sent as -9999.
    pub logprob: f32,
    /// Bytes of the token.
    pub bytes: Vec<u8>,
    /// Alternatives, best first.
    pub top_logprobs: Vec<TopLogprob>,
}

/// An alternative to a sampled token.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TopLogprob {
    /// Text of the token.
    pub token: String,
    /// Logprob, nats.
    pub logprob: f32,
    /// Bytes of the token.
    pub bytes: Vec<u8>,
}

/// One of `n` answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ChatChoice {
    /// Which of `n`.
    pub index: u32,
    /// The answer.
    pub message: AssistantMessage,
    /// Present if asked for.
    pub logprobs: Option<ChatLogprobs>,
    /// What `logprobs` are of, beside them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logprobs_mode: Option<LogprobsMode>,
    /// With `return_raw_logprobs`; in a stream, of the new tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sampled_logprobs: Option<SampledLogprobs>,
    /// `stop`, `tool_calls`, `length` or `abort`.
    pub finish_reason: String,
    /// The stop string that matched.
    pub stop_reason: Option<String>,
    /// Sampled tokens, with `return_token_ids`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_ids: Option<Vec<u32>>,
    /// With `return_weight_versions`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight_versions: Option<Vec<WeightVersionSpan>>,
}

/// A whole answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ChatCompletion {
    /// Id of the request.
    pub id: String,
    /// Always `chat.completion`.
    pub object: String,
    /// Seconds since the epoch.
    pub created: u64,
    /// The name asked for.
    pub model: String,
    /// The answers by index.
    pub choices: Vec<ChatChoice>,
    /// Token counts.
    pub usage: Usage,
    /// Newest weight version that a token was drawn under.
    pub weight_version: u64,
    /// The seed used.
    pub seed: u64,
    /// With `return_token_ids`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt_token_ids: Option<Vec<u32>>,
    /// With `prompt_logprobs`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<Option<BTreeMap<String, crate::common::PromptLogprob>>>>)]
    pub prompt_logprobs: Option<PromptLogprobs>,
}

/// What a chunk adds to a choice.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Delta {
    /// `assistant`, in the first chunk.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// Text that follows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
    /// Calls that follow.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_calls: Option<Vec<ToolCallDelta>>,
}

/// A choice within a chunk.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ChunkChoice {
    /// Which of `n`.
    pub index: u32,
    /// What is added.
    pub delta: Delta,
    /// Logprobs of the tokens added.
    pub logprobs: Option<ChatLogprobs>,
    /// What `logprobs` are of, beside them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logprobs_mode: Option<LogprobsMode>,
    /// With `return_raw_logprobs`; in a stream, of the new tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sampled_logprobs: Option<SampledLogprobs>,
    /// In the last chunk of the choice.
    pub finish_reason: Option<String>,
    /// The stop string that matched, in the last chunk of the choice.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_reason: Option<String>,
    /// Tokens added, with `return_token_ids`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_ids: Option<Vec<u32>>,
    /// In the last chunk of the choice, with `return_weight_versions`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight_versions: Option<Vec<WeightVersionSpan>>,
}

/// One server-sent event of a streamed answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ChatCompletionChunk {
    /// Id of the request.
    pub id: String,
    /// Always `chat.completion.chunk`.
    pub object: String,
    /// Seconds since the epoch.
    pub created: u64,
    /// The name asked for.
    pub model: String,
    /// At most one choice; none in the usage chunk.
    pub choices: Vec<ChunkChoice>,
    /// In the usage chunk, with `stream_options.include_usage`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    /// In the last chunk of each choice: newest weight version that a token was drawn under.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight_version: Option<u64>,
    /// In the last chunk of each choice: the seed used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// In the first chunk, with `return_token_ids`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt_token_ids: Option<Vec<u32>>,
    /// In the first chunk, with `prompt_logprobs`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<Option<BTreeMap<String, crate::common::PromptLogprob>>>>)]
    pub prompt_logprobs: Option<PromptLogprobs>,
}
