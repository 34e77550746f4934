//! The trajectory log: SQLite in WAL mode, one writer thread, group commit, bounded queue.
//!
//! Every group that is trained on is read from here. It knows trajectories and groups, not what a recipe does with them.

mod config;
mod query;

use std::path::Path;

pub use config::{LogConfig, LogError};
pub use query::{ClosedGroup, GroupQuery, ListQuery, LogStats, LoggedTrajectory};

use crate::trajectory::{Group, Trajectory};

/// Handle on the log. Cheap to clone.
#[derive(Debug, Clone)]
pub struct TrajectoryLog {}

impl TrajectoryLog {
    /// Opens or creates the log at `path` with default bounds.
    ///
    /// # Errors
    /// [`LogError::Unusable`], [`LogError::Database`].
    pub fn open(path: &Path) -> Result<Self, LogError> {
        Self::open_with(path, LogConfig::default())
    }

    /// Opens or creates the log at `path`.
    ///
    /// # Errors
    /// [`LogError::Unusable`], [`LogError::Database`].
    pub fn open_with(_path: &Path, _config: LogConfig) -> Result<Self, LogError> {
        unimplemented!()
    }

    /// Appends and waits for the commit; returns log sequence numbers. All or nothing.
    ///
    /// A trajectory whose id is in the log with the same tokens and logprobs is not written again: its old number is
    /// returned, so a step regenerated after a crash may append its trajectories once more.
    ///
    /// # Errors
    /// Any [`LogError`].
    pub fn append_blocking(&self, _trajectories: Vec<Trajectory>) -> Result<Vec<i64>, LogError> {
        unimplemented!()
    }

    /// As [`Self::append_blocking`] without blocking the thread.
    ///
    /// # Errors
    /// Any [`LogError`].
    pub async fn append(&self, _trajectories: Vec<Trajectory>) -> Result<Vec<i64>, LogError> {
        unimplemented!()
    }

    /// A whole group by id, members in log order; `None` if unknown. If the id was used again after its group had
    /// closed, the latest one.
    ///
    /// # Errors
    /// [`LogError::Database`].
    pub fn group(&self, _group_id: &str) -> Result<Option<Group>, LogError> {
        unimplemented!()
    }

    /// Closed groups in the order of closing.
    ///
    /// # Errors
    /// [`LogError::Database`].
    pub fn closed_groups(&self, _query: &GroupQuery) -> Result<Vec<ClosedGroup>, LogError> {
        unimplemented!()
    }

    /// Closes, with what they have, open groups whose first member is older than `timeout_s` at `now` (seconds since the
    /// epoch); returns how many. Call it before [`Self::closed_groups`].
    ///
    /// # Errors
    /// Any [`LogError`].
    pub fn close_expired(&self, _timeout_s: f64, _now: f64) -> Result<u64, LogError> {
        unimplemented!()
    }

    /// Marks trajectories as trained at `now` (seconds since the epoch); unknown ids are ignored. Returns how many.
    ///
    /// # Errors
    /// Any [`LogError`].
    pub fn mark_trained(&self, _ids: &[String], _now: f64) -> Result<u64, LogError> {
        unimplemented!()
    }

    /// Makes the marks agree with `consumed`, the ids a checkpoint says were trained on. Returns how many changed.
    ///
    /// # Errors
    /// Any [`LogError`].
    pub fn repair_trained(&self, _consumed: &[String], _now: f64) -> Result<u64, LogError> {
        unimplemented!()
    }

    /// One trajectory by id.
    ///
    /// # Errors
    /// [`LogError::Database`].
    pub fn get(&self, _id: &str) -> Result<Option<LoggedTrajectory>, LogError> {
        unimplemented!()
    }

    /// Trajectories, newest first.
    ///
    /// # Errors
    /// [`LogError::Database`].
    pub fn list(&self, _query: &ListQuery) -> Result<Vec<LoggedTrajectory>, LogError> {
        unimplemented!()
    }

    /// Sizes and counters.
    ///
    /// # Errors
    /// [`LogError::Database`].
    pub fn stats(&self) -> Result<LogStats, LogError> {
        unimplemented!()
    }
}
