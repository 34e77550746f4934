//! SGLang's native `/generate`: tokens or text in, tokens and text out.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::common::LogprobsMode;
use crate::flexible::{Seed, TextOrList, TokenIds};
use crate::guide::JsonSchema;

/// Prompts to continue. Unknown and unsupported fields are refused by name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NativeRequest {
    /// One text or several. Either this or `input_ids`.
    pub text: Option<TextOrList>,
    /// One prompt as token ids, or several.
    pub input_ids: Option<TokenIds>,
    /// How to sample, the same for all prompts.
    pub sampling_params: Option<NativeSampling>,
    /// Return the logprob of every sampled token.
    pub return_logprob: Option<bool>,
    /// Return the logprobs of the prompt from this token on too; -1 (default) of none.
    pub logprob_start_len: Option<i64>,
    /// Alternatives per token, 0 to 20; needs `return_logprob`.
    pub top_logprobs_num: Option<u32>,
    /// Give the text of tokens with their logprobs, in place of null.
    pub return_text_in_logprobs: Option<bool>,
    /// Return `prompt_token_ids`.
    pub return_prompt_token_ids: Option<bool>,
    /// Send server-sent events as tokens come; each holds all of its answer so far.
    pub stream: Option<bool>,
    /// Name of the request for `/abort_request`; `meta_info.id` repeats it.
    pub rid: Option<String>,
    /// Name of a loaded LoRA adapter, as `/v1/models` lists it.
    pub lora_path: Option<String>,
    /// Separates the prefix cache of different tenants; 1 to 1024 bytes.
    pub cache_salt: Option<String>,
    /// Lower is served earlier; default 0.
    pub priority: Option<i32>,
    /// As on `/v1/completions`: logged with the trajectory.
    pub metadata: Option<BTreeMap<String, String>>,
    /// `false` keeps the request out of the trajectory log. Default true.
    pub store: Option<bool>,
}

/// SGLang's sampling parameters.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct NativeSampling {
    /// Most tokens to sample per answer. Default 128.
    pub max_new_tokens: Option<u32>,
    /// No end of sequence and no stop before so many tokens.
    pub min_new_tokens: Option<u32>,
    /// Softmax temperature in [0, 2]; 0 is greedy. Default 1.
    pub temperature: Option<f64>,
    /// Nucleus mass in (0, 1].
    pub top_p: Option<f64>,
    /// Keep the k most likely tokens; -1 keeps all.
    pub top_k: Option<i64>,
    /// Keep tokens with at least this share of the best token's probability.
    pub min_p: Option<f64>,
    /// In [-2, 2].
    pub frequency_penalty: Option<f64>,
    /// In [-2, 2].
    pub presence_penalty: Option<f64>,
    /// In (0, 100].
    pub repetition_penalty: Option<f64>,
    /// Strings that end the text.
    pub stop: Option<TextOrList>,
    /// Tokens that end the text, besides the model's own.
    pub stop_token_ids: Option<Vec<u32>>,
    /// Do not stop at the model's end-of-sequence token.
    pub ignore_eos: Option<bool>,
    /// Keep the stop string in the text.
    pub no_stop_trim: Option<bool>,
    /// Answers per prompt. Default 1.
    pub n: Option<u32>,
    /// Same seed, prompt, parameters and weights: same tokens.
    pub sampling_seed: Option<Seed>,
    /// The text is JSON that this schema, or its text, accepts.
    pub json_schema: Option<JsonSchema>,
    /// The text is matched as a whole.
    pub regex: Option<String>,
    /// Token id (as a string) to a value that is added to its logit.
    pub logit_bias: Option<BTreeMap<String, f64>>,
    /// Only true: texts have no control tokens; `output_ids` have.
    pub skip_special_tokens: Option<bool>,
    /// Accepted; texts have no control tokens to put spaces between.
    pub spaces_between_special_tokens: Option<bool>,
}

/// An answer; in a stream, as far as it has come.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct NativeAnswer {
    /// The text.
    pub text: String,
    /// Sampled tokens, a final end of sequence included.
    pub output_ids: Vec<u32>,
    /// The prompt, with `return_prompt_token_ids`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt_token_ids: Option<Vec<u32>>,
    /// What else there is to say.
    pub meta_info: NativeMeta,
    /// Prompt index times `n` plus sample index, where there are several answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index: Option<u32>,
}

/// One answer, or a list where several were asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum NativeAnswers {
    /// To one prompt.
    One(Box<NativeAnswer>),
    /// To several, or several to one.
    Many(Vec<NativeAnswer>),
}

/// A logprob in nats, the token's id, and its text or null.
pub type LogprobEntry = (Option<f32>, u32, Option<String>);

/// About an answer. Logprobs are `[logprob, token id, text or null]`: of sampled tokens under the distribution they were
/// drawn from, of prompt tokens under the model's own logits (null for the first).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct NativeMeta {
    /// The request: `rid` if it had one.
    pub id: String,
    /// Null until the end.
    pub finish_reason: Option<NativeFinish>,
    /// Tokens of the prompt.
    pub prompt_tokens: usize,
    /// Tokens sampled.
    pub completion_tokens: usize,
    /// Label of the newest weights that a token was drawn under.
    pub weight_version: String,
    /// Which tokens were drawn under which weights, half-open.
    pub weight_versions: Vec<LabelledSpan>,
    /// The seed used.
    pub seed: u64,
    /// What `output_token_logprobs` are of, beside them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logprobs_mode: Option<LogprobsMode>,
    /// With `return_logprob`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<Vec<Value>>>)]
    pub output_token_logprobs: Option<Vec<LogprobEntry>>,
    /// With `top_logprobs_num`: the alternatives, best first.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<Vec<Vec<Value>>>>)]
    pub output_top_logprobs: Option<Vec<Vec<LogprobEntry>>>,
    /// With `return_logprob`: the prompt from `logprob_start_len` on.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<Vec<Value>>>)]
    pub input_token_logprobs: Option<Vec<LogprobEntry>>,
    /// With `top_logprobs_num`; null for the first token.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<Option<Vec<Vec<Value>>>>>)]
    pub input_top_logprobs: Option<Vec<Option<Vec<LogprobEntry>>>>,
    /// Seconds since the request was read; at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub e2e_latency: Option<f64>,
}

/// Why an answer ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct NativeFinish {
    /// `stop`, `length` or `abort`.
    #[serde(rename = "type")]
    pub kind: String,
    /// With `stop`: the string, or the id of the token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub matched: Option<Value>,
    /// With `length`: the tokens sampled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub length: Option<usize>,
    /// With `abort`: for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// Sampled tokens drawn under weights of one label, half-open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LabelledSpan {
    /// The label: what an update gave, else `base` or `step-<n>`.
    pub version: String,
    /// First sampled token.
    pub start: u32,
    /// One past the last.
    pub end: u32,
}
