//! What the server says of itself: versions, load, model, bounds.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Answer of `/version`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Version {
    /// Version of svs.
    pub version: String,
}

/// Answer of `/load`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Load {
    /// Requests of clients that are being generated, queued ones included.
    pub server_load: usize,
}

/// Answer of `/weight_info`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WeightLabel {
    /// Label of the weights that answer now: what an update gave them, else `base` or `step-<n>`.
    pub weight_version: String,
    /// Their number, as other routes report it.
    pub version: u64,
}

/// Answer of `/model_info`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ModelDescription {
    /// The model as the server was told it.
    pub model_path: String,
    /// Where the tokenizer comes from; always `model_path`.
    pub tokenizer_path: String,
    /// Always true: the model generates.
    pub is_generation: bool,
    /// Always null.
    pub preferred_sampling_params: Option<String>,
    /// Label of the weights that answer now.
    pub weight_version: String,
    /// Always false.
    pub has_image_understanding: bool,
    /// Always false.
    pub has_audio_understanding: bool,
    /// Family of the decoder, as `config.json` names it.
    pub model_type: String,
    /// Its class, as `config.json` names it.
    pub architectures: Vec<String>,
}

/// Answer of `/server_info`. Keys are never part of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ServerDescription {
    /// Version of svs.
    pub version: String,
    /// `ready`, or `paused`.
    pub status: String,
    /// The model as the server was told it.
    pub model_path: String,
    /// Where the tokenizer comes from; always `model_path`.
    pub tokenizer_path: String,
    /// Names that requests may use.
    pub served_model_names: Vec<String>,
    /// The first of them.
    pub served_model_name: String,
    /// Label of the weights that answer now.
    pub weight_version: String,
    /// Longest sequence served.
    pub context_length: usize,
    /// Sequences that run at once.
    pub max_running_requests: usize,
    /// Sequences that may wait.
    pub max_queued_requests: usize,
    /// Rows of a step.
    pub chunked_prefill_size: usize,
    /// Tokens that fit the KV cache.
    pub max_total_num_tokens: usize,
    /// Tokens of a KV block.
    pub page_size: usize,
    /// Storage of the weights.
    pub dtype: String,
    /// Storage of keys and values.
    pub kv_cache_dtype: String,
    /// Where the decoder runs.
    pub device: String,
    /// Seconds since the epoch at which the server started.
    pub started: u64,
    /// The engine now; one entry.
    pub internal_states: Vec<EngineState>,
}

/// The engine's numbers at one moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct EngineState {
    /// Sequences running.
    pub num_running_reqs: usize,
    /// Sequences waiting.
    pub num_queue_reqs: usize,
    /// Tokens of KV in use, in whole blocks.
    pub num_used_tokens: usize,
    /// Share of the KV cache in use, 0 to 1.
    pub token_usage: f64,
    /// Tokens sampled since the start.
    pub generation_tokens: u64,
    /// Prompt tokens computed or reused since the start.
    pub prompt_tokens: u64,
    /// Version that answers now.
    pub weight_version: u64,
    /// Publishes since the start.
    pub publishes: u64,
}
