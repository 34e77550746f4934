//! Shape of a decoder, and the bounds of an engine.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::device::{CudaMode, Device};
use crate::guide::GuideLimits;

/// Decoder families that one definition covers. They differ only in biases, QK norms and sliding windows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Family {
    /// Llama 2/3, SmolLM2, TinyLlama.
    Llama,
    /// Mistral 7B and kin.
    Mistral,
    /// Qwen2 and Qwen2.5: bias on q, k, v.
    Qwen2,
    /// Qwen3: RMS norm on each head of q and k.
    Qwen3,
}

/// Rotary position embedding.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rope {
    /// Base of the geometric sequence of wavelengths.
    pub theta: f32,
    /// Optional rescaling of the frequencies.
    pub scaling: Option<RopeScaling>,
}

/// Rescaling of the rotary frequencies.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "rope_type", rename_all = "snake_case")]
pub enum RopeScaling {
    /// Positions divided by `factor`.
    Linear {
        /// Divisor.
        factor: f32,
    },
    /// Llama 3.1's piecewise scaling.
    Llama3 {
        /// Divisor of the low frequencies.
        factor: f32,
        /// Low-frequency bound.
        low_freq_factor: f32,
        /// High-frequency bound.
        high_freq_factor: f32,
        /// Context length before the extension.
        original_max_position_embeddings: usize,
    },
}

/// Everything about a decoder's shape; read from `config.json` or GGUF metadata by `load`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelConfig {
    /// Decoder family.
    pub family: Family,
    /// Rows of the embedding table.
    pub vocab_size: usize,
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// Width of the gated MLP.
    pub intermediate_size: usize,
    /// Layers.
    pub layers: usize,
    /// Query heads.
    pub heads: usize,
    /// Key/value heads; divides `heads`.
    pub kv_heads: usize,
    /// Width of a head.
    pub head_dim: usize,
    /// Longest sequence the position embedding covers.
    pub max_position_embeddings: usize,
    /// Epsilon of the RMS norms.
    pub rms_norm_eps: f32,
    /// Rotary embedding.
    pub rope: Rope,
    /// The output projection is the embedding table.
    pub tie_word_embeddings: bool,
    /// Bias on q, k, v projections (Qwen2).
    pub qkv_bias: bool,
    /// RMS norm per head on q and k (Qwen3).
    pub qk_norm: bool,
    /// Attend only to the last so many positions (Mistral v0.1), if any.
    pub sliding_window: Option<usize>,
}

/// How numbers are stored for serving. Arithmetic is f32 in either case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Precision {
    /// As the master parameters.
    #[default]
    F32,
    /// Rounded to the upper 16 bits: half the memory, and half the bytes to read per step.
    Bf16,
}

impl Precision {
    /// Bytes of a number.
    #[must_use]
    pub fn bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::Bf16 => 2,
        }
    }

    /// The name in configurations.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
        }
    }
}

/// How a version's weights, and the keys and values computed under them, are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Storage {
    /// Weight matrices.
    pub weights: Precision,
    /// Keys and values.
    pub kv: Precision,
}

impl From<Precision> for Storage {
    /// Weights in this precision, keys and values in f32.
    fn from(weights: Precision) -> Self {
        Self {
            weights,
            kv: Precision::F32,
        }
    }
}

/// What happens to running sequences when new weights are published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InFlight {
    /// Go on under the new weights with the old KV; later tokens are marked `mixed_kv`.
    #[default]
    Keep,
    /// Go on under the new weights after recomputing the KV.
    Recompute,
    /// Finish under the old weights; only new requests see the new ones.
    Drain,
}

/// Bounds of an engine. Every queue, cache and loop has one here.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EngineConfig {
    /// Sequences that run at once.
    pub max_num_seqs: usize,
    /// Rows (tokens) of one step.
    pub max_num_batched_tokens: usize,
    /// Rows of one step that score given tokens (`prompt_logprobs`, `score`); each takes a row of logits.
    pub max_scored_rows: usize,
    /// Sequences that may wait; one more is refused as overloaded.
    pub max_waiting: usize,
    /// Prompt rows of a step that belong to sequences of worse priority than one that decodes in it: a stream beside
    /// rollouts waits for no long prefill.
    pub max_prompt_rows_beside: usize,
    /// Most of the cores' time that steps of a few rows take while training computes on the same cores, which lends half of
    /// them for such a step; above 0 to 1.
    pub share_beside_training: f64,
    /// Later arrivals that may be admitted ahead of a waiting sequence because their priority is better.
    pub max_overtakes: u32,
    /// Blocks of the KV cache, 16 tokens each; `None` sizes it from `kv_cache_bytes`.
    pub kv_blocks: Option<usize>,
    /// Bytes of the KV cache when `kv_blocks` is not given.
    pub kv_cache_bytes: usize,
    /// Longest sequence (prompt + completion), at most the model's; `None` takes that.
    pub max_model_len: Option<usize>,
    /// Choices of one request (`n`).
    pub max_choices: usize,
    /// Reuse KV blocks across requests with a common prefix.
    pub prefix_cache: bool,
    /// Threads of the compute pool; `None` takes the machine's cores.
    pub threads: Option<usize>,
    /// Weight sets held at once (alias, leases, references).
    pub max_weight_sets: usize,
    /// Least time between integrity checks of an idle engine; 0 turns them off.
    pub integrity_interval_ms: u64,
    /// Default for running sequences at a publish.
    pub in_flight: InFlight,
    /// Storage of the weight matrices, those of published versions too.
    pub weights: Precision,
    /// Storage of keys and values.
    pub kv: Precision,
    /// Where the decoder runs.
    pub device: Device,
    /// How it computes there, if that is a CUDA device.
    pub cuda_mode: CudaMode,
    /// Bounds of guided decoding.
    pub guides: GuideLimits,
    /// Program that tries unknown guides when called with `guide-trial` (see [`crate::guide::trial`]); the server's own.
    /// Without one they are trusted.
    #[serde(skip)]
    pub guide_trial: Option<PathBuf>,
}

impl EngineConfig {
    /// Whether sampled logprobs are near what the trainer computes and not its bits: the CUDA mode `fast`.
    #[must_use]
    pub fn is_approximate(&self) -> bool {
        self.device != Device::Cpu && self.cuda_mode == CudaMode::Fast
    }

    /// Storage of weights, keys and values.
    #[must_use]
    pub fn storage(&self) -> Storage {
        Storage {
            weights: self.weights,
            kv: self.kv,
        }
    }
}

impl Default for EngineConfig {
    fn default() -> Self {
        Self {
            max_num_seqs: 64,
            max_num_batched_tokens: 512,
            max_scored_rows: 128,
            max_waiting: 4096,
            max_prompt_rows_beside: 32,
            share_beside_training: 0.27,
            max_overtakes: 256,
            kv_blocks: None,
            kv_cache_bytes: 1 << 30,
            max_model_len: None,
            max_choices: 128,
            prefix_cache: true,
            threads: None,
            max_weight_sets: 4,
            integrity_interval_ms: 10_000,
            in_flight: InFlight::Keep,
            weights: Precision::F32,
            kv: Precision::F32,
            device: Device::Cpu,
            cuda_mode: CudaMode::Exact,
            guides: GuideLimits::default(),
            guide_trial: None,
        }
    }
}
