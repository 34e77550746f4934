//! The trajectory log: SQLite in WAL mode, one writer thread, group commit, bounded queue.

use std::path::Path;

use crate::trajectory::{Group, Trajectory};

/// Errors of the log.
#[derive(Debug, Clone, thiserror::Error)]
pub enum LogError {
    /// The write queue is full; the caller should answer 429.
    #[error("the trajectory log's queue is full")]
    Full,
    /// The database failed (disk full, corrupt, locked).
    #[error("trajectory log: {0}")]
    Database(String),
}

/// Handle on the log. Cheap to clone.
#[derive(Debug, Clone)]
pub struct TrajectoryLog {}

impl TrajectoryLog {
    /// Opens or creates the log at `path`.
    ///
    /// # Errors
    /// [`LogError::Database`].
    pub fn open(_path: &Path) -> Result<Self, LogError> {
        unimplemented!()
    }

    /// Appends and waits for the commit; returns log sequence numbers.
    ///
    /// # Errors
    /// Any [`LogError`].
    pub fn append_blocking(&self, _trajectories: Vec<Trajectory>) -> Result<Vec<i64>, LogError> {
        unimplemented!()
    }

    /// Appends and waits for the commit without blocking the thread.
    ///
    /// # Errors
    /// Any [`LogError`].
    pub async fn append(&self, _trajectories: Vec<Trajectory>) -> Result<Vec<i64>, LogError> {
        unimplemented!()
    }

    /// A whole group by id, members in log order; `None` if unknown.
    ///
    /// # Errors
    /// [`LogError::Database`].
    pub fn group(&self, _group_id: &str) -> Result<Option<Group>, LogError> {
        unimplemented!()
    }
}
