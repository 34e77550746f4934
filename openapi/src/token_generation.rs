//! vLLM's `/inference/v1/generate`: token ids in, token ids out.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::common::{LogprobsMode, PromptLogprobs, SampledLogprobs, StreamOptions, Usage};
use crate::flexible::{Seed, TextOrList};
use crate::guide::StructuredOutputs;
use crate::native::LabelledSpan;

/// Token ids to continue. Unknown and unsupported fields are refused by name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TokenRequest {
    /// Name of the request for `/abort_requests`, repeated in the answer; drawn if absent.
    pub request_id: Option<String>,
    /// The prompt, at least one token.
    pub token_ids: Vec<u32>,
    /// How to sample.
    pub sampling_params: Option<TokenSampling>,
    /// A name from `/v1/models`; absent: the model.
    pub model: Option<String>,
    /// Send server-sent events as tokens come.
    pub stream: Option<bool>,
    /// Options of the stream; only with `stream: true`.
    pub stream_options: Option<StreamOptions>,
    /// Separates the prefix cache of different tenants; 1 to 1024 bytes.
    pub cache_salt: Option<String>,
    /// Lower is served earlier; default 0.
    pub priority: Option<i32>,
    /// Return `prompt_token_ids`.
    pub return_token_ids: Option<bool>,
    /// Return each choice's `sampled_logprobs`: behaviour and raw logprob of each token and where truncation cut.
    pub return_raw_logprobs: Option<bool>,
    /// `tokens` (default), or `text`, which adds the text of each choice.
    pub output_mode: Option<String>,
    /// As on `/v1/completions`: logged with the trajectory.
    pub metadata: Option<BTreeMap<String, String>>,
    /// `false` keeps the request out of the trajectory log. Default true.
    pub store: Option<bool>,
}

/// vLLM's sampling parameters.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TokenSampling {
    /// Choices. Default 1.
    pub n: Option<u32>,
    /// Softmax temperature in [0, 2]; 0 is greedy. Default 1.
    pub temperature: Option<f64>,
    /// Nucleus mass in (0, 1].
    pub top_p: Option<f64>,
    /// Keep the k most likely tokens; 0 or -1 keeps all.
    pub top_k: Option<i64>,
    /// Keep tokens with at least this share of the best token's probability.
    pub min_p: Option<f64>,
    /// In [-2, 2].
    pub presence_penalty: Option<f64>,
    /// In [-2, 2].
    pub frequency_penalty: Option<f64>,
    /// In (0, 100].
    pub repetition_penalty: Option<f64>,
    /// Same seed, prompt, parameters and weights: same tokens.
    pub seed: Option<Seed>,
    /// Most tokens to sample per choice. Default 16.
    pub max_tokens: Option<u32>,
    /// No end of sequence and no stop before so many tokens.
    pub min_tokens: Option<u32>,
    /// Strings that end the choice.
    pub stop: Option<TextOrList>,
    /// Tokens that end the choice, besides the model's own.
    pub stop_token_ids: Option<Vec<u32>>,
    /// Keep the stop string in the text.
    pub include_stop_str_in_output: Option<bool>,
    /// Do not stop at the model's end-of-sequence token.
    pub ignore_eos: Option<bool>,
    /// Return logprobs with so many alternatives per token, 0 to 20.
    pub logprobs: Option<u32>,
    /// Score the prompt, with so many alternatives per token, 0 to 20.
    pub prompt_logprobs: Option<u32>,
    /// Token id (as a string) to a value that is added to its logit.
    pub logit_bias: Option<BTreeMap<String, f64>>,
    /// What the text must be.
    pub structured_outputs: Option<StructuredOutputs>,
    /// Accepted; `output_mode` says whether there is a text.
    pub detokenize: Option<bool>,
    /// Only true: texts have no control tokens; `token_ids` have.
    pub skip_special_tokens: Option<bool>,
    /// Accepted; texts have no control tokens to put spaces between.
    pub spaces_between_special_tokens: Option<bool>,
}

/// A whole answer, or one server-sent event of a streamed one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TokenAnswer {
    /// The request: its `request_id` if it had one.
    pub request_id: String,
    /// The choices by index; in a stream at most one.
    pub choices: Vec<TokenChoice>,
    /// Token counts; in a stream only in the usage chunk.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    /// With `return_token_ids`; in a stream, in the first chunk.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt_token_ids: Option<Vec<u32>>,
    /// With `prompt_logprobs`; in a stream, in the first chunk.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<Option<BTreeMap<String, crate::common::PromptLogprob>>>>)]
    pub prompt_logprobs: Option<PromptLogprobs>,
}

/// A choice; in a stream, its newest part.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TokenChoice {
    /// Sample index.
    pub index: u32,
    /// Sampled tokens, a final end of sequence included; in a stream, the new ones.
    pub token_ids: Vec<u32>,
    /// With `output_mode: "text"`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Present if asked for; in a stream, of the new tokens.
    pub logprobs: Option<TokenLogprobs>,
    /// What `logprobs` are of, beside them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logprobs_mode: Option<LogprobsMode>,
    /// With `return_raw_logprobs`; in a stream, of the new tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sampled_logprobs: Option<SampledLogprobs>,
    /// `stop`, `length` or `abort`; null in all but the last chunk.
    pub finish_reason: Option<String>,
    /// The stop string, or the id of the stop token, that ended the choice.
    #[schema(value_type = Option<Value>)]
    pub stop_reason: Option<Value>,
    /// Which tokens were drawn under which weights, half-open; in a stream, in the last chunk.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight_versions: Option<Vec<LabelledSpan>>,
    /// The seed used; in a stream, in the last chunk.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
}

/// Logprobs of a choice.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TokenLogprobs {
    /// One entry per token.
    pub content: Vec<SampledLogprob>,
}

/// A sampled token. Logprobs are of the distribution it was drawn from, in nats.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SampledLogprob {
    /// `token_id:` and the id.
    pub token: String,
    /// Its id.
    pub token_id: u32,
    /// Its logprob.
    pub logprob: f32,
    /// Its place by likelihood from 1 on, where it is among the alternatives.
    pub rank: Option<u32>,
    /// The alternatives, best first.
    pub top_logprobs: Vec<RankedLogprob>,
}

/// An alternative.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RankedLogprob {
    /// `token_id:` and the id.
    pub token: String,
    /// Its id.
    pub token_id: u32,
    /// Its logprob.
    pub logprob: f32,
    /// Its place by likelihood, from 1 on.
    pub rank: u32,
}
