//! LoRA adapters at run time: `/v1/load_lora_adapter`, `/v1/unload_lora_adapter`.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Which adapter to load.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LoadLoraAdapter {
    /// Name to send as `model` from then on.
    pub lora_name: String,
    /// A PEFT folder inside the server's `lora_dir`, relative to it or absolute.
    pub lora_path: String,
}

/// Which adapter to unload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UnloadLoraAdapter {
    /// Its name.
    pub lora_name: String,
}

/// What has been done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LoraAdapterStatus {
    /// `loaded` or `unloaded`.
    pub status: String,
    /// The adapter.
    pub lora_name: String,
    /// Weight version of its answers.
    pub weight_version: u64,
}
