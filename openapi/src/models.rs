//! Model list.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A name under which the server answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Model {
    /// Name to send as `model`.
    pub id: String,
    /// Always `model`.
    pub object: String,
    /// When the server started, the adapter was loaded or the job ended, seconds since the epoch.
    pub created: u64,
    /// Always `svs`.
    pub owned_by: String,
    /// The model behind the name; for an adapter the folder it was loaded from.
    pub root: String,
    /// The name of the base, for an adapter or a job's model.
    pub parent: Option<String>,
    /// Longest sequence served, prompt and completion together.
    pub max_model_len: usize,
    /// Weight version that answers now; null for a job's model that is loaded when it is first asked for.
    pub weight_version: Option<u64>,
}

/// All names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ModelList {
    /// Always `list`.
    pub object: String,
    /// The names.
    pub data: Vec<Model>,
}

/// Answer of `/health`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Health {
    /// `ok`.
    pub status: String,
    /// Weight version that answers now.
    pub weight_version: u64,
}
