//! `[server.files]`: bounds of what clients upload.

use serde::{Deserialize, Serialize};

/// Bounds of uploaded files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FilesConfig {
    /// Bytes of one file.
    pub max_file_bytes: u64,
    /// Files held.
    pub max_files: usize,
    /// Bytes of all files together, with those under way.
    pub max_total_bytes: u64,
    /// Uploads at once; one more gets a 429.
    pub max_uploads: usize,
    /// Time that one upload may take.
    pub upload_timeout_seconds: u64,
}

impl Default for FilesConfig {
    fn default() -> Self {
        Self {
            max_file_bytes: 64 << 20,
            max_files: 1000,
            max_total_bytes: 1 << 30,
            max_uploads: 4,
            upload_timeout_seconds: 600,
        }
    }
}

impl FilesConfig {
    /// Every bound by its dotted name; each must be at least 1.
    #[must_use]
    pub fn bounds(&self) -> [(&'static str, u64); 5] {
        [
            ("server.files.max_file_bytes", self.max_file_bytes),
            ("server.files.max_files", self.max_files as u64),
            ("server.files.max_total_bytes", self.max_total_bytes),
            ("server.files.max_uploads", self.max_uploads as u64),
            ("server.files.upload_timeout_seconds", self.upload_timeout_seconds),
        ]
    }
}
