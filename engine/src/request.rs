//! What a caller asks of the engine and what it gets back.

use std::sync::Arc;
use std::time::Instant;

use serde::{Deserialize, Serialize};

use crate::control::Control;
use crate::error::EngineError;
use crate::guide::{CompiledGuide, Guide};
use crate::tap::TapSource;
use crate::weights::WeightStore;

/// Most stop strings of a request.
pub const MAX_STOPS: usize = 16;
/// Most bytes of a stop string.
pub const MAX_STOP_BYTES: usize = 1024;

/// Priority of a trainer's own requests: behind callers that ask for no priority.
pub const BACKGROUND_PRIORITY: i32 = 10;

/// How to sample. Defaults: temperature 1, no truncation, 16 tokens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SamplingParams {
    /// 0 is greedy; logits are divided by it otherwise.
    pub temperature: f32,
    /// Nucleus mass in (0, 1].
    pub top_p: f32,
    /// Keep the k best; `None` keeps all.
    pub top_k: Option<u32>,
    /// Keep tokens with at least this share of the best token's probability, in [0, 1].
    pub min_p: f32,
    /// OpenAI's presence penalty, over sampled tokens, in [-2, 2].
    pub presence_penalty: f32,
    /// OpenAI's frequency penalty, over sampled tokens, in [-2, 2].
    pub frequency_penalty: f32,
    /// Divides positive and multiplies negative logits of tokens seen in prompt or output; 1 is off.
    pub repetition_penalty: f32,
    /// Request seed; the engine draws and reports one if absent.
    pub seed: Option<u64>,
    /// Most tokens to sample per choice.
    pub max_tokens: u32,
    /// EOS and stops are suppressed before so many tokens.
    pub min_tokens: u32,
    /// Stop strings; not part of the returned text unless `include_stop_str_in_output`.
    pub stop: Vec<String>,
    /// Stop tokens besides EOS.
    pub stop_token_ids: Vec<u32>,
    /// Keep the stop string in the text.
    pub include_stop_str_in_output: bool,
    /// Do not stop at EOS.
    pub ignore_eos: bool,
    /// Added to the logits of single tokens.
    pub logit_bias: Vec<(u32, f32)>,
    /// Alternatives reported per sampled token, 0..=20.
    pub top_logprobs: u32,
    /// Score the prompt: its tokens' raw logprobs, with so many alternatives each.
    pub prompt_logprobs: Option<u32>,
    /// What the text must be; ends of sequence come only where it accepts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub guide: Option<Guide>,
}

impl Default for SamplingParams {
    fn default() -> Self {
        Self {
            temperature: 1.0,
            top_p: 1.0,
            top_k: None,
            min_p: 0.0,
            presence_penalty: 0.0,
            frequency_penalty: 0.0,
            repetition_penalty: 1.0,
            seed: None,
            max_tokens: 16,
            min_tokens: 0,
            stop: Vec::new(),
            stop_token_ids: Vec::new(),
            include_stop_str_in_output: false,
            ignore_eos: false,
            logit_bias: Vec::new(),
            top_logprobs: 0,
            prompt_logprobs: None,
            guide: None,
        }
    }
}

/// A prompt and how often and how to continue it.
#[derive(Debug, Clone, Default)]
pub struct GenerateRequest {
    /// Token ids, at least one.
    pub prompt: Vec<u32>,
    /// Choices, at least one. Choice `i` draws from key H(seed, i).
    pub n: u32,
    /// Sampling parameters of every choice.
    pub sampling: SamplingParams,
    /// Weights to use; `None` is the alias `policy`, which a publish moves. A version number or a label of the store: the
    /// request then keeps those weights to its end.
    pub weights: Option<String>,
    /// Separates prefix-cache entries of different tenants.
    pub cache_salt: Option<String>,
    /// Tokens taken as sampled before, so that sampling goes on at the same positions; not reported again. They count
    /// towards `max_tokens`. Only with one choice.
    pub resume: Vec<u32>,
    /// Lower is served earlier; 0 unless the caller says otherwise. [`crate::EngineConfig::max_overtakes`] bounds how
    /// often a request is passed over.
    pub priority: i32,
    /// `sampling.guide`, compiled. [`crate::EngineHandle::submit`] sees to it; who steps an engine by hand does so.
    pub guide: Option<CompiledGuide>,
    /// The answer goes on in the text of the prompt. A vocabulary that begins texts with a space has that space in the
    /// answer then; otherwise, as in a chat, the answer is a text of its own.
    pub continues_text: bool,
    /// Judges the choices while they run.
    pub control: Option<Control>,
    /// Reads the hidden states of the choices.
    pub tap: Option<Arc<dyn TapSource>>,
    /// Pool the hidden states of `prompt`; nothing is sampled. See [`crate::EngineHandle::embed`].
    pub pooling: Option<Pooling>,
    /// Score `prompt` from this position on, with entropies and at the temperature; nothing is sampled. See
    /// [`crate::EngineHandle::score`].
    pub score_from: Option<usize>,
}

impl GenerateRequest {
    /// Whether a publish leaves it under the weights it began with.
    pub(crate) fn is_pinned(&self) -> bool {
        let follows = self.weights.as_deref().is_none_or(|name| name == WeightStore::POLICY);
        !follows || self.score_from.is_some() || self.pooling.is_some()
    }
}

/// How the hidden states of a prompt become one vector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pooling {
    /// Their mean.
    Mean,
    /// The one at the last token, which alone has seen the whole prompt.
    Last,
}

/// Why a choice ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FinishReason {
    /// EOS, a stop token or a stop string.
    Stop,
    /// `max_tokens` or the context length.
    Length,
    /// The caller went away or aborted.
    Abort,
}

/// A token and its logprob in nats.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct TopLogprob {
    /// Token id.
    pub token: u32,
    /// Logprob, nats, of the same distribution as [`TokenEvent::logprob`].
    pub logprob: f32,
}

/// One sampled token.
#[derive(Debug, Clone, PartialEq)]
pub struct TokenEvent {
    /// Which of the `n` choices.
    pub choice: u32,
    /// Token id.
    pub token: u32,
    /// Behaviour logprob, nats: of the distribution sampled from (after penalties, temperature and truncation;
    /// greedy reports temperature 1).
    pub logprob: f32,
    /// Raw logprob, nats: of the model's own logits.
    pub raw_logprob: f32,
    /// Processed logits below this were cut by top-k, min-p or top-p; `None` if none were.
    pub threshold: Option<f32>,
    /// The most likely alternatives, best first.
    pub top: Vec<TopLogprob>,
    /// Text that became final with this token; may be empty (partial UTF-8, possible stop string).
    pub text: String,
    /// Weight version whose logits the token was drawn from.
    pub version: u64,
    /// Some KV entry it attended to was written under another version.
    pub mixed_kv: bool,
    /// When it was drawn.
    pub sampled_at: Instant,
    /// A controller put it in; its logprobs are 0, since it was certain. [`crate::EngineHandle::score`] tells what the
    /// model thinks of it.
    pub forced: bool,
}

/// Logprobs of one prompt token.
#[derive(Debug, Clone, PartialEq)]
pub struct PromptLogprob {
    /// Token id.
    pub token: u32,
    /// Raw logprob, nats; `None` for the first token.
    pub logprob: Option<f32>,
    /// The most likely alternatives.
    pub top: Vec<TopLogprob>,
    /// Entropy of the distribution it is from, nats; of tokens scored by [`crate::EngineHandle::score`].
    pub entropy: Option<f32>,
}

/// What a generation emits, in order per choice.
#[derive(Debug, Clone)]
pub enum Event {
    /// The scored prompt, once, before any token, when `prompt_logprobs` was asked.
    Prompt(Vec<PromptLogprob>),
    /// The pooled hidden states of the prompt, `[hidden]` f32, once, when `pooling` was asked.
    Pooled(Vec<f32>),
    /// A sampled or forced token.
    Token(TokenEvent),
    /// A controller forked a choice: the new one begins with `at` generated tokens of `parent`, not reported again.
    Forked {
        /// The new choice.
        choice: u32,
        /// The choice it is forked from.
        parent: u32,
        /// Tokens shared.
        at: usize,
        /// Their text, as far as it is final.
        text: String,
    },
    /// A choice ended; `text` is what stop-string matching had held back.
    Finished {
        /// Which choice.
        choice: u32,
        /// Why.
        reason: FinishReason,
        /// The stop string that matched, if one did.
        stop: Option<String>,
        /// Text held back until now.
        text: String,
        /// Why a controller aborted it, if one did.
        aborted: Option<String>,
        /// What its tap made of the hidden states.
        tapped: Vec<f32>,
        /// From its arrival to the first step that computed something for it, seconds; 0 if none did.
        queued_s: f64,
    },
    /// The request failed; nothing follows.
    Failed(EngineError),
}

/// A run of sampled tokens under one weight version, half-open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionSpan {
    /// Weight version.
    pub version: u64,
    /// First sampled token.
    pub start: u32,
    /// One past the last.
    pub end: u32,
}

/// Where a forked choice comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ForkOrigin {
    /// Choice it was forked from.
    pub choice: u32,
    /// Leading tokens that both share.
    pub at: usize,
}

/// One finished choice.
#[derive(Debug, Clone, PartialEq)]
pub struct Choice {
    /// Its index: below `n`, or that of a fork.
    pub index: u32,
    /// Where it comes from, if it is a fork.
    pub origin: Option<ForkOrigin>,
    /// Sampled and forced tokens, a final EOS included.
    pub tokens: Vec<u32>,
    /// Behaviour logprobs, nats, one per token.
    pub logprobs: Vec<f32>,
    /// Raw logprobs, nats, one per token.
    pub raw_logprobs: Vec<f32>,
    /// Where truncation cut, see [`TokenEvent::threshold`], one per token.
    pub thresholds: Vec<Option<f32>>,
    /// Alternatives, one list per token.
    pub top: Vec<Vec<TopLogprob>>,
    /// Decoded text without special tokens and stop string.
    pub text: String,
    /// Why it ended.
    pub finish_reason: FinishReason,
    /// The stop string that matched.
    pub stop: Option<String>,
    /// Weight versions, covering `tokens`.
    pub spans: Vec<VersionSpan>,
    /// Some token saw KV of another version.
    pub mixed_kv: bool,
    /// For each token, whether a controller put it in.
    pub forced: Vec<bool>,
    /// Why a controller aborted it, if one did.
    pub aborted: Option<String>,
    /// What its tap made of the hidden states; empty without one.
    pub tapped: Vec<f32>,
}

/// A finished request.
#[derive(Debug, Clone, PartialEq)]
pub struct Completion {
    /// The seed used.
    pub seed: u64,
    /// The choices by index, forks after the `n` asked for.
    pub choices: Vec<Choice>,
    /// The scored prompt if asked for.
    pub prompt: Option<Vec<PromptLogprob>>,
    /// The pooled hidden states of the prompt, `[hidden]` f32, if asked for.
    pub pooled: Option<Vec<f32>>,
}
