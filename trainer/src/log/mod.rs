//! The trajectory log: SQLite in WAL mode, one writer thread, group commit, bounded queue.
//!
//! Every group that is trained on is read from here. It knows trajectories and groups, not what a recipe does with them.

mod config;
mod filter;
mod query;
mod read;
mod reader;
mod record;
mod retention;
mod schema;
mod write;
mod writer;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

pub use config::{LogConfig, LogError};
pub use filter::Filter;
pub use query::{ClosedGroup, GroupQuery, ListQuery, LogStats, LoggedTrajectory, OpenGroups};
pub use reader::{LogReader, Order, Page};

use rusqlite::Connection;
use writer::{Applied, Request, Writer};

use crate::trajectory::{GraderVerdict, Group, Kind, Trajectory};

/// Handle on the log. Cheap to clone; the last one to go writes what waits and ends the writer thread.
#[derive(Clone)]
pub struct TrajectoryLog {
    inner: Arc<Inner>,
}

struct Inner {
    path: PathBuf,
    writer: Writer,
    reader: Mutex<Connection>,
}

impl std::fmt::Debug for TrajectoryLog {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("TrajectoryLog")
            .field("path", &self.inner.path)
            .finish_non_exhaustive()
    }
}

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
    pub fn open_with(path: &Path, config: LogConfig) -> Result<Self, LogError> {
        let writer = schema::open_writer(path, &config)?;
        let reader = Mutex::new(schema::open_reader(path, &config)?);
        let writer = Writer::start(writer, config)?;
        Ok(Self {
            inner: Arc::new(Inner {
                path: path.into(),
                writer,
                reader,
            }),
        })
    }

    /// Appends and waits for the commit; returns log sequence numbers. All or nothing.
    ///
    /// A trajectory whose id is in the log with the same tokens and logprobs is not written again: its old number is
    /// returned, so a step regenerated after a crash may append its trajectories once more.
    ///
    /// # Errors
    /// Any [`LogError`].
    pub fn append_blocking(&self, trajectories: Vec<Trajectory>) -> Result<Vec<i64>, LogError> {
        Ok(self.apply(Request::Append(trajectories))?.seqs)
    }

    /// As [`Self::append_blocking`] without blocking the thread.
    ///
    /// # Errors
    /// Any [`LogError`].
    pub async fn append(&self, trajectories: Vec<Trajectory>) -> Result<Vec<i64>, LogError> {
        Ok(self.ask(Request::Append(trajectories)).await?.seqs)
    }

    /// Notes rewards that came later, by id, all or none: over earlier ones, which stay in the record. A group that waited for
    /// nothing else closes.
    ///
    /// # Errors
    /// [`LogError::Unknown`], [`LogError::Trained`], [`LogError::Unreadable`], any other [`LogError`].
    pub async fn set_rewards(&self, findings: Vec<(String, GraderVerdict)>) -> Result<(), LogError> {
        check_finite(&findings)?;
        self.ask(Request::SetRewards(findings)).await.map(drop)
    }

    /// As [`Self::set_rewards`], but what has a reward keeps it, and what is not in the log any more is passed over.
    ///
    /// # Errors
    /// [`LogError::Unreadable`], any other [`LogError`].
    pub async fn set_missing_rewards(&self, findings: Vec<(String, GraderVerdict)>) -> Result<(), LogError> {
        check_finite(&findings)?;
        self.ask(Request::SetMissingRewards(findings)).await.map(drop)
    }

    /// Closes the open group of that id with what it has, also one that is held; returns whether there was one.
    ///
    /// # Errors
    /// Any [`LogError`].
    pub async fn close_group(&self, group_id: &str) -> Result<bool, LogError> {
        Ok(self.ask(Request::CloseGroup(group_id.into())).await?.changed > 0)
    }

    /// Lets the groups of sessions that nobody knows any more expire as others do; returns how many.
    ///
    /// # Errors
    /// Any [`LogError`].
    pub fn release_held(&self) -> Result<u64, LogError> {
        Ok(self.apply(Request::ReleaseHeld)?.changed)
    }

    /// A connection of its own to read with, beside everything else.
    ///
    /// # Errors
    /// [`LogError::Unusable`], [`LogError::Database`].
    pub fn reader(&self) -> Result<LogReader, LogError> {
        LogReader::open(&self.inner.path)
    }

    async fn ask(&self, request: Request) -> Result<Applied, LogError> {
        let (sender, receiver) = tokio::sync::oneshot::channel();
        // A caller that went away does not undo its change; nobody is left to tell.
        let answer = Box::new(move |result| drop(sender.send(result)));
        self.inner.writer.submit(request, answer)?;
        receiver.await.map_err(|_| writer::stopped())?
    }

    fn apply(&self, request: Request) -> Result<Applied, LogError> {
        let (sender, receiver) = std::sync::mpsc::sync_channel(1);
        self.inner
            .writer
            .submit(request, Box::new(move |result| drop(sender.send(result))))?;
        receiver.recv().map_err(|_| writer::stopped())?
    }

    fn read<T>(&self, query: impl FnOnce(&Connection) -> Result<T, LogError>) -> Result<T, LogError> {
        query(&self.inner.reader.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A whole group by id, members in log order; `None` if unknown. If the id was used again after its group had
    /// closed, the latest one.
    ///
    /// # Errors
    /// [`LogError::Database`].
    pub fn group(&self, group_id: &str) -> Result<Option<Group>, LogError> {
        self.read(|connection| read::group(connection, group_id))
    }

    /// Closed groups in the order of closing.
    ///
    /// # Errors
    /// [`LogError::Database`].
    pub fn closed_groups(&self, query: &GroupQuery) -> Result<Vec<ClosedGroup>, LogError> {
        self.read(|connection| read::closed_groups(connection, query))
    }

    /// Closes, with what they have, open groups whose first member is older than `timeout_s` at `now` (seconds since the
    /// epoch); returns how many. Call it before [`Self::closed_groups`].
    ///
    /// # Errors
    /// Any [`LogError`].
    pub fn close_expired(&self, timeout_s: f64, now: f64) -> Result<u64, LogError> {
        Ok(self.apply(Request::CloseExpired { timeout_s, now })?.changed)
    }

    /// Marks trajectories as trained by `run` at `now` (seconds since the epoch); unknown ids are ignored, and so are
    /// those that have a mark. Returns how many.
    ///
    /// # Errors
    /// Any [`LogError`].
    pub fn mark_trained(&self, run: &str, ids: &[String], now: f64) -> Result<u64, LogError> {
        Ok(self
            .apply(Request::MarkTrained {
                run: run.into(),
                ids: ids.to_vec(),
                now,
            })?
            .changed)
    }

    /// Makes the marks of `run` agree with `consumed`, the ids that its checkpoint says were trained on; other runs' marks
    /// stay. Returns how many changed.
    ///
    /// # Errors
    /// Any [`LogError`].
    pub fn repair_trained(&self, run: &str, consumed: &[String], now: f64) -> Result<u64, LogError> {
        Ok(self
            .apply(Request::RepairTrained {
                run: run.into(),
                consumed: consumed.to_vec(),
                now,
            })?
            .changed)
    }

    /// One trajectory by id.
    ///
    /// # Errors
    /// [`LogError::Database`].
    pub fn get(&self, id: &str) -> Result<Option<LoggedTrajectory>, LogError> {
        self.read(|connection| read::get(connection, id))
    }

    /// Trajectories, newest first.
    ///
    /// # Errors
    /// [`LogError::Database`].
    pub fn list(&self, query: &ListQuery) -> Result<Vec<LoggedTrajectory>, LogError> {
        self.read(|connection| read::list(connection, query))
    }

    /// How many groups of a kind closed after this number.
    ///
    /// # Errors
    /// [`LogError::Database`].
    pub fn closed_after(&self, kind: Kind, seq: i64) -> Result<u64, LogError> {
        self.read(|connection| read::closed_after(connection, kind, seq))
    }

    /// Groups of a kind that have not closed.
    ///
    /// # Errors
    /// [`LogError::Database`].
    pub fn open_groups(&self, kind: Kind) -> Result<OpenGroups, LogError> {
        self.read(|connection| read::open_groups(connection, kind))
    }

    /// Sizes and counters.
    ///
    /// # Errors
    /// [`LogError::Database`].
    pub fn stats(&self) -> Result<LogStats, LogError> {
        let held = self.inner.writer.held();
        let (open_groups, last_seq) = self.read(read::counts)?;
        Ok(LogStats {
            rows: held.rows,
            bytes: held.bytes,
            open_groups,
            last_seq,
            evicted: held.evicted,
            evicted_untrained: held.evicted_untrained,
        })
    }
}

fn check_finite(findings: &[(String, GraderVerdict)]) -> Result<(), LogError> {
    let finite = |(_, finding): &&(String, GraderVerdict)| finding.reward.is_none_or(f64::is_finite);
    match findings.iter().find(|finding| !finite(finding)) {
        None => Ok(()),
        Some((id, _)) => Err(LogError::Invalid {
            id: id.clone(),
            reason: "a reward is not finite".into(),
        }),
    }
}
