//! Weights from outside trainers, in vLLM's and SGLang's words.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

/// Body of SGLang's `/update_weights_from_disk`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateFromDisk {
    /// A Hugging Face folder inside the server's `weights_dir`, relative to it or absolute: `config.json` and safetensors.
    pub model_path: String,
    /// `auto` or `safetensors`; both are the same.
    pub load_format: Option<String>,
    /// End the requests of clients with what they have when the new weights are ready. Default false.
    pub abort_all_requests: Option<bool>,
    /// Label of the new weights; `update-<version>` if absent.
    pub weight_version: Option<String>,
    /// What becomes of sequences in flight: `keep`, `recompute` or `drain`. Default: `drain`, and under a pause what
    /// `flush_cache` says.
    pub in_flight: Option<String>,
    /// Under a pause: compute the KV of what goes on anew (true, the default), or keep it.
    pub flush_cache: Option<bool>,
    /// `false` ends a pause after the update; otherwise it stands.
    pub keep_pause: Option<bool>,
    /// Only false.
    pub is_async: Option<bool>,
    /// Accepted; there is no such cache here.
    pub torch_empty_cache: Option<bool>,
    /// Accepted; there are no such graphs here.
    pub recapture_cuda_graph: Option<bool>,
    /// Accepted and not used; `weight_version` names the weights.
    pub token_step: Option<i64>,
    /// Only null.
    pub manifest: Option<Value>,
}

/// The weights answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UpdatedFromDisk {
    /// Always true.
    pub success: bool,
    /// For people.
    pub message: String,
    /// Sequences that crossed the swap.
    pub num_paused_requests: usize,
    /// Label of the new weights.
    pub weight_version: String,
    /// Their number.
    pub version: u64,
}

/// Body of vLLM's `/update_weights`: `update_info` within an update, or `weight_dir` for an update in one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateWeights {
    /// Where the weights of the update that was started are.
    pub update_info: Option<WeightPlace>,
    /// Where weights are that shall answer at once.
    pub weight_dir: Option<String>,
}

/// Where weights are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WeightPlace {
    /// A Hugging Face folder inside the server's `weights_dir`, relative to it or absolute.
    pub weight_dir: String,
}

/// Body of vLLM's `/finish_weight_update`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct FinishUpdate {
    /// Label of the new weights; `update-<version>` if absent.
    pub weight_version: Option<String>,
    /// What becomes of sequences in flight: `keep` (default), `recompute` or `drain`.
    pub in_flight: Option<String>,
}

/// A step of an update is done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UpdateStep {
    /// For people.
    pub message: String,
    /// Label of the weights that answer now, where the step changed them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight_version: Option<String>,
    /// Their number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<u64>,
}

/// Body of `/update_weight_version`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NameWeights {
    /// Label of the weights that answer now.
    pub new_version: String,
    /// End the requests of clients with what they have. Default false.
    pub abort_all_requests: Option<bool>,
}

/// The label has changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WeightsNamed {
    /// Always true.
    pub success: bool,
    /// For people.
    pub message: String,
    /// The label.
    pub new_version: String,
}

/// Body of `/weight_checker`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CheckWeights {
    /// `checksum` or `compare`.
    pub action: String,
    /// With `compare`: checksums by tensor, all of them or some.
    pub baseline: Option<BTreeMap<String, String>>,
}

/// What `/weight_checker` found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum WeightsChecked {
    /// `checksum`.
    Checksums(Checksums),
    /// `compare`.
    Compared(Compared),
}

/// Checksums of the weights that answer now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Checksums {
    /// By Hugging Face name: SHA-256, in hexadecimal, of the elements as little-endian f32 in row-major order, rounded to
    /// bf16 before where the server holds them in bf16.
    pub checksums: BTreeMap<String, String>,
}

/// Whether the weights that answer now have these checksums.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Compared {
    /// They have.
    #[serde(rename = "match")]
    pub matches: bool,
    /// Tensors that differ, or that there are none of.
    pub mismatches: Vec<String>,
}
