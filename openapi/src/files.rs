//! Uploaded files, in OpenAI's shapes.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Form of `POST /v1/files`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct FileUpload {
    /// `fine-tune`.
    pub purpose: String,
    /// JSON lines: `{"messages": [{"role", "content"}, ...], ...}`.
    #[schema(value_type = String, format = Binary)]
    pub file: Vec<u8>,
}

/// A file that was uploaded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FileObject {
    /// Its id.
    pub id: String,
    /// `file`.
    pub object: String,
    /// Its size.
    pub bytes: u64,
    /// When it was uploaded, seconds since the epoch.
    pub created_at: u64,
    /// The name that it was uploaded under.
    pub filename: String,
    /// `fine-tune`.
    pub purpose: String,
    /// `processed`: its lines were checked before it was taken.
    pub status: String,
    /// Always null: files stay until they are deleted.
    pub expires_at: Option<u64>,
    /// Always null.
    pub status_details: Option<String>,
}

/// Query of `GET /v1/files`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct FileQuery {
    /// Files on a page, 1 to 10000. Default 10000.
    pub limit: Option<usize>,
    /// The id of the last file of the page before.
    pub after: Option<String>,
    /// `desc` (newest first, default) or `asc`.
    pub order: Option<String>,
    /// Only files of this purpose.
    pub purpose: Option<String>,
}

/// A page of files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FileList {
    /// `list`.
    pub object: String,
    /// The files.
    pub data: Vec<FileObject>,
    /// Id of the first.
    pub first_id: Option<String>,
    /// Id of the last.
    pub last_id: Option<String>,
    /// Whether there are more behind it.
    pub has_more: bool,
}

/// A file is gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FileDeleted {
    /// Its id.
    pub id: String,
    /// `file`.
    pub object: String,
    /// True.
    pub deleted: bool,
}
