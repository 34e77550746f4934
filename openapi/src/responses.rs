//! `/v1/responses`, in OpenAI's shapes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::flexible::Seed;
use crate::guide::JsonSchema;

/// What to answer. Unknown and unsupported fields are refused by name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ResponsesRequest {
    /// A name from `/v1/models`.
    pub model: String,
    /// A text, or a list of messages, calls and their outputs.
    pub input: ResponseInput,
    /// Goes before everything else, as a system message; not carried over by `previous_response_id`.
    pub instructions: Option<String>,
    /// A stored response whose conversation goes on.
    pub previous_response_id: Option<String>,
    /// Keep the response for retrieval and continuation, and log it. Default true.
    pub store: Option<bool>,
    /// Answer at once and generate behind; needs `store`.
    pub background: Option<bool>,
    /// Send server-sent events as tokens come.
    pub stream: Option<bool>,
    /// Most tokens to sample, at least 16 in OpenAI's API, at least 1 here. Default: what the context leaves.
    pub max_output_tokens: Option<u32>,
    /// Softmax temperature in [0, 2]; 0 is greedy. Default 1.
    pub temperature: Option<f64>,
    /// Nucleus mass in (0, 1]. Default 1.
    pub top_p: Option<f64>,
    /// What the text must be.
    pub text: Option<ResponseText>,
    /// Functions that the model may call, at most 128.
    pub tools: Option<Vec<ResponseTool>>,
    /// `auto`, `none`, `required` or one function.
    #[schema(value_type = Option<Object>)]
    pub tool_choice: Option<Value>,
    /// `false`: at most one call.
    pub parallel_tool_calls: Option<bool>,
    /// Up to 16 strings, logged with the trajectory; as on `/v1/chat/completions`.
    pub metadata: Option<BTreeMap<String, String>>,
    /// Only `disabled`: what does not fit the context is refused.
    pub truncation: Option<String>,
    /// Who asked; accepted and not used.
    pub user: Option<String>,
    /// As `user`.
    pub safety_identifier: Option<String>,
    /// Accepted and not used: prompts that begin alike share their KV anyway; see `cache_salt`.
    pub prompt_cache_key: Option<String>,
    /// Extension: same seed, prompt, parameters and weight version: same tokens.
    pub seed: Option<Seed>,
    /// Extension: keep the k most likely tokens.
    pub top_k: Option<i64>,
    /// Extension: do not stop at the model's end-of-sequence token.
    pub ignore_eos: Option<bool>,
    /// Extension: lower is served earlier; default 0.
    pub priority: Option<i32>,
    /// Extension: separates the prefix cache of different tenants; 1 to 1024 bytes.
    pub cache_salt: Option<String>,
}

/// What the text of an answer must be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ResponseText {
    /// `text` (anything; the default), `json_object` or `json_schema`.
    pub format: Option<ResponseTextFormat>,
}

/// The format of a text. A schema is always enforced.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ResponseTextFormat {
    /// `text`, `json_object` or `json_schema`.
    #[serde(rename = "type")]
    pub kind: String,
    /// With `json_schema`: accepted and not used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// With `json_schema`: accepted and not used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// With `json_schema`: the schema.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schema: Option<JsonSchema>,
    /// With `json_schema`: accepted and not used; `false` is enforced as well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strict: Option<bool>,
}

/// A function that may be called.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ResponseTool {
    /// Only `function`.
    #[serde(rename = "type")]
    pub kind: String,
    /// 1 to 64 letters, digits, `_` and `-`.
    pub name: String,
    /// What it does, for the model.
    pub description: Option<String>,
    /// JSON schema of its arguments, an object; absent: it takes none.
    #[schema(value_type = Option<Object>)]
    pub parameters: Option<Value>,
    /// Hold calls to the schema also where the model decides whether to call.
    pub strict: Option<bool>,
}

/// A text, or a list of items.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(untagged, try_from = "Value")]
pub enum ResponseInput {
    /// What a user says.
    Text(String),
    /// Messages, calls and their outputs, in order.
    Items(Vec<InputItem>),
}

impl TryFrom<Value> for ResponseInput {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        match value {
            Value::String(text) => Ok(Self::Text(text)),
            Value::Array(items) => {
                let read = |(index, item): (usize, Value)| match item {
                    item @ Value::Object(_) => {
                        serde_json::from_value(item).map_err(|error| format!("item {index}: {error}"))
                    }
                    _ => Err(format!("item {index}: expected an object")),
                };
                items
                    .into_iter()
                    .enumerate()
                    .map(read)
                    .collect::<Result<_, _>>()
                    .map(Self::Items)
            }
            _ => Err("expected a string or a list of items".into()),
        }
    }
}

/// A message, a call or its output.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct InputItem {
    /// `message` (default), `function_call` or `function_call_output`.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// Of a message: `system`, `developer`, `user` or `assistant`.
    pub role: Option<String>,
    /// Of a message: a text, or a list of text parts.
    pub content: Option<PartsOrText>,
    /// The call, or the one that an output answers.
    pub call_id: Option<String>,
    /// The function called.
    pub name: Option<String>,
    /// JSON text of an object.
    pub arguments: Option<String>,
    /// What the function gave: a text, or a list of text parts.
    pub output: Option<PartsOrText>,
    /// Accepted and not used.
    pub id: Option<String>,
    /// Accepted and not used.
    pub status: Option<String>,
    /// What OpenAI's client has parsed of a call, and sends back beside it; not used.
    #[schema(value_type = Option<Object>)]
    pub parsed_arguments: Option<Value>,
}

/// A text, or a list of text parts, which are joined.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(untagged, try_from = "Value")]
pub enum PartsOrText {
    /// A text.
    Text(String),
    /// Its parts.
    Parts(Vec<InputPart>),
}

/// A part of a text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct InputPart {
    /// `input_text`, `output_text` or `text`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The text.
    pub text: String,
    /// Of an earlier answer; not used.
    #[schema(value_type = Vec<Object>)]
    pub annotations: Option<Value>,
    /// Of an earlier answer; not used.
    #[schema(value_type = Vec<Object>)]
    pub logprobs: Option<Value>,
    /// What OpenAI's client has parsed of an answer, and sends back beside it; not used.
    #[schema(value_type = Option<Object>)]
    pub parsed: Option<Value>,
}

/// Types of parts that are texts.
const TEXTS: [&str; 3] = ["input_text", "output_text", "text"];

impl TryFrom<Value> for PartsOrText {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        let part = |(index, item): (usize, Value)| match item.get("type").and_then(Value::as_str) {
            Some(kind) if TEXTS.contains(&kind) => {
                serde_json::from_value(item).map_err(|error| format!("part {index}: {error}"))
            }
            Some(kind) => Err(format!(
                "part {index} is of type `{kind}`; supported are {}",
                TEXTS.join(", ")
            )),
            None => Err(format!(
                "part {index} has no `type`; supported are {}",
                TEXTS.join(", ")
            )),
        };
        match value {
            Value::String(text) => Ok(Self::Text(text)),
            Value::Array(items) => items
                .into_iter()
                .enumerate()
                .map(part)
                .collect::<Result<_, _>>()
                .map(Self::Parts),
            _ => Err("expected a string or a list of text parts".into()),
        }
    }
}

impl PartsOrText {
    /// The text, parts joined without a separator.
    #[must_use]
    pub fn into_text(self) -> String {
        match self {
            Self::Text(text) => text,
            Self::Parts(parts) => parts.into_iter().map(|part| part.text).collect(),
        }
    }
}

/// A response; streamed events carry it too.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Response {
    /// Its id.
    pub id: String,
    /// Always `response`.
    pub object: String,
    /// Seconds since the epoch.
    pub created_at: u64,
    /// `in_progress`, `completed`, `incomplete`, `cancelled` or `failed`.
    pub status: String,
    /// Whether it was asked for in the background.
    pub background: bool,
    /// When it was completed, seconds since the epoch.
    pub completed_at: Option<u64>,
    /// Why it failed.
    pub error: Option<ResponseError>,
    /// Why it is incomplete.
    pub incomplete_details: Option<IncompleteDetails>,
    /// As asked.
    pub instructions: Option<String>,
    /// As asked.
    pub max_output_tokens: Option<u32>,
    /// The name asked for.
    pub model: String,
    /// Messages and calls.
    pub output: Vec<OutputItem>,
    /// As asked.
    pub parallel_tool_calls: bool,
    /// As asked.
    pub previous_response_id: Option<String>,
    /// As asked.
    pub store: bool,
    /// As asked.
    pub temperature: f64,
    /// As asked.
    pub text: ResponseText,
    /// As asked.
    pub tool_choice: Value,
    /// As asked.
    pub tools: Vec<ResponseTool>,
    /// As asked.
    pub top_p: f64,
    /// Always `disabled`.
    pub truncation: String,
    /// Token counts, at the end.
    pub usage: Option<ResponseUsage>,
    /// As asked.
    pub user: Option<String>,
    /// As asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub safety_identifier: Option<String>,
    /// As asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt_cache_key: Option<String>,
    /// As asked.
    pub metadata: BTreeMap<String, String>,
    /// Newest weight version that a token was drawn under, at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight_version: Option<u64>,
    /// The seed used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
}

/// Why a response failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ResponseError {
    /// Stable code.
    pub code: String,
    /// The same for people.
    pub message: String,
}

/// Why a response is incomplete.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct IncompleteDetails {
    /// `max_output_tokens`.
    pub reason: String,
}

/// What an answer has.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum OutputItem {
    /// What the model says.
    Message {
        /// Its id.
        id: String,
        /// `in_progress`, `completed` or `incomplete`.
        status: String,
        /// Always `assistant`.
        role: String,
        /// One text.
        content: Vec<OutputText>,
    },
    /// A function that the model calls.
    FunctionCall {
        /// Its id.
        id: String,
        /// What the output names.
        call_id: String,
        /// The function.
        name: String,
        /// JSON text of an object.
        arguments: String,
        /// `in_progress` or `completed`.
        status: String,
    },
}

/// The text of a message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct OutputText {
    /// Always `output_text`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The text.
    pub text: String,
    /// Always empty.
    #[schema(value_type = Vec<Object>)]
    pub annotations: Vec<Value>,
    /// Always empty.
    #[schema(value_type = Vec<Object>)]
    pub logprobs: Vec<Value>,
}

/// Token counts of a response.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ResponseUsage {
    /// Tokens of the prompt, the conversation before it included.
    pub input_tokens: usize,
    /// OpenAI's clients expect it.
    pub input_tokens_details: InputTokensDetails,
    /// Tokens sampled.
    pub output_tokens: usize,
    /// OpenAI's clients expect it.
    pub output_tokens_details: OutputTokensDetails,
    /// Sum of both.
    pub total_tokens: usize,
}

/// Of which the input consists.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct InputTokensDetails {
    /// Always 0: what came from the prefix cache is not told by request.
    pub cached_tokens: usize,
    /// Always 0, as `cached_tokens`.
    pub cache_write_tokens: usize,
}

/// Of which the output consists.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OutputTokensDetails {
    /// Always 0: reasoning is text here.
    pub reasoning_tokens: usize,
}

/// A response that was forgotten.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DeletedResponse {
    /// Its id.
    pub id: String,
    /// Always `response`.
    pub object: String,
    /// Always true.
    pub deleted: bool,
}
