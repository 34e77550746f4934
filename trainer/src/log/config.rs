//! Bounds of the trajectory log, and what can go wrong with it.

use serde::{Deserialize, Serialize};

/// Bounds of the log. Zero is refused where it would mean "nothing at all".
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogConfig {
    /// Append calls that may wait for the writer; one more gets [`LogError::Full`].
    pub queue: usize,
    /// Longest time the writer goes on collecting appends into one commit.
    pub commit_ms: u64,
    /// Most trajectories one append may bring.
    pub max_batch: usize,
    /// Longest wait for another process's lock on the file.
    pub busy_ms: u64,
    /// Keep at most so many trajectories.
    pub retention_rows: Option<u64>,
    /// Keep at most so many payload bytes.
    pub retention_bytes: Option<u64>,
    /// Keep closed groups at most so long.
    pub retention_age_s: Option<f64>,
    /// Hard limit of the file; an append that would grow it further gets [`LogError::DiskFull`].
    pub max_file_bytes: Option<u64>,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            queue: 1024,
            commit_ms: 10,
            max_batch: 4096,
            busy_ms: 5000,
            retention_rows: Some(2_000_000),
            retention_bytes: Some(8 << 30),
            retention_age_s: None,
            max_file_bytes: None,
        }
    }
}

/// Errors of the log.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum LogError {
    /// The write queue is full; the caller should answer 429.
    #[error("the trajectory log's queue is full")]
    Full,
    /// A trajectory contradicts itself (array lengths) or the batch is too large; nothing of the batch was written.
    #[error("trajectory `{id}`: {reason}")]
    Invalid {
        /// Its id.
        id: String,
        /// What is wrong.
        reason: String,
    },
    /// The id is taken by a trajectory with other tokens; nothing of the batch was written.
    #[error("trajectory id `{0}` is already in the log with other content")]
    Conflict(String),
    /// There is no trajectory of this id.
    #[error("there is no trajectory `{0}`")]
    Unknown(String),
    /// It was trained on already, so its reward cannot change any more.
    #[error("trajectory `{0}` was trained on already; its reward cannot change any more")]
    Trained(String),
    /// A run sampled it and grades it itself.
    #[error("trajectory `{0}` was sampled by a run, which grades it itself")]
    Own(String),
    /// A row of the log cannot be read; the others can.
    #[error("trajectory `{id}` cannot be read: {reason}")]
    Unreadable {
        /// Its id, if that can be read.
        id: String,
        /// What is wrong.
        reason: String,
    },
    /// The file is not a log that this version can use; says what to do.
    #[error("{0}")]
    Unusable(String),
    /// The disk is full; what was committed before is safe.
    #[error("the trajectory log could not grow: {0}; free space on its disk, committed trajectories are safe")]
    DiskFull(String),
    /// The database failed (locked, I/O, corrupt).
    #[error("trajectory log: {0}")]
    Database(String),
}
