//! Control of the engine: `/pause`, `/resume`, `/is_paused`.

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
    /// From `/pause` to `/resume`.
    pub is_paused: bool,
}
