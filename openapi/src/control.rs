//! Control of the engine in vLLM's and SGLang's words.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What has been done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PauseStatus {
    /// `paused` or `resumed`.
    pub status: String,
}

/// Whether generation is paused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct IsPaused {
    /// From a pause to the end of it.
    pub is_paused: bool,
}

/// Body of `/pause_generation`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PauseGeneration {
    /// `abort` (default): requests end with what they have. `retract`: they stop, their KV is dropped and computed anew
    /// later. `in_place`: they stop and keep their KV.
    pub mode: Option<String>,
}

/// Body of `/continue_generation`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ContinueGeneration {
    /// Accepted; there is no such cache here.
    pub torch_empty_cache: Option<bool>,
}

/// What has been done, in SGLang's words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Done {
    /// The same for people.
    pub message: String,
    /// Always `ok`.
    pub status: String,
}

/// Body of `/abort_requests`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AbortRequests {
    /// Ids that clients gave (`request_id`, `rid`) or answers had (`id`); absent: all requests of clients.
    pub request_ids: Option<Vec<String>>,
}

/// How many requests end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Aborted {
    /// Always `aborted`.
    pub status: String,
    /// Requests that end with what they have.
    pub aborted: usize,
}

/// Body of `/abort_request`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AbortRequest {
    /// Id that the client gave (`rid`, `request_id`) or the answer had (`id`).
    pub rid: Option<String>,
    /// All requests of clients.
    pub abort_all: Option<bool>,
}

/// Whether it was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Success {
    /// It was.
    pub success: bool,
}

/// What `/sleep` has done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Sleeping {
    /// Always `sleeping`.
    pub status: String,
    /// Always 1.
    pub level: u32,
}

/// What `/wake_up` has done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Awake {
    /// Always `awake`.
    pub status: String,
    /// What was asked for and is there.
    pub tags: Vec<String>,
}

/// Whether the server sleeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct IsSleeping {
    /// From the beginning of a sleep to the end of it.
    pub is_sleeping: bool,
}

/// Body of `/release_memory_occupation` and `/resume_memory_occupation`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct MemoryTags {
    /// `kv_cache`, needed to release; to resume also `weights`, which never left.
    pub tags: Option<Vec<String>>,
}
