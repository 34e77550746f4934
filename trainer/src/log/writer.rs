//! The one thread that writes: collects what waits into one transaction, commits, then answers.

use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rusqlite::{Connection, TransactionBehavior};

use super::config::{LogConfig, LogError};
use super::retention::{self, Held};
use super::schema::database;
use super::{record, write};
use crate::clock::unix_s;
use crate::crash;
use crate::trajectory::{GraderVerdict, Trajectory};

/// A change of the log.
pub(super) enum Request {
    Append(Vec<Trajectory>),
    CloseExpired {
        timeout_s: f64,
        now: f64,
    },
    /// Rewards that came later, by id; all or none.
    SetRewards(Vec<(String, GraderVerdict)>),
    /// As `SetRewards`, for what has no reward yet and is still there.
    SetMissingRewards(Vec<(String, GraderVerdict)>),
    CloseGroup(String),
    ReleaseHeld,
    MarkTrained {
        run: String,
        ids: Vec<String>,
        now: f64,
    },
    RepairTrained {
        run: String,
        consumed: Vec<String>,
        now: f64,
    },
}

/// What a committed change gives.
#[derive(Debug, Default)]
pub(super) struct Applied {
    /// Sequence numbers, for an append.
    pub(super) seqs: Vec<i64>,
    /// Rows or groups changed, for the others.
    pub(super) changed: u64,
    rows: u64,
    /// Payload bytes added.
    bytes: i64,
}

type Answer = Box<dyn FnOnce(Result<Applied, LogError>) + Send>;

struct Job {
    request: Request,
    answer: Answer,
}

/// The writer's queue and thread. Dropping it writes what waits and ends the thread.
pub(super) struct Writer {
    queue: Option<SyncSender<Job>>,
    thread: Option<JoinHandle<()>>,
    held: Arc<Mutex<Held>>,
    max_batch: usize,
}

impl Writer {
    pub(super) fn start(connection: Connection, config: LogConfig) -> Result<Self, LogError> {
        let held = Arc::new(Mutex::new(Held::count(&connection)?));
        let (queue, jobs) = sync_channel(config.queue);
        let max_batch = config.max_batch;
        let shared = Arc::clone(&held);
        let thread = std::thread::Builder::new()
            .name("svs-log".into())
            .spawn(move || {
                Loop {
                    connection,
                    config,
                    held: shared,
                }
                .run(&jobs)
            })
            .map_err(|error| LogError::Database(format!("cannot start the writer thread: {error}")))?;
        Ok(Self {
            queue: Some(queue),
            thread: Some(thread),
            held,
            max_batch,
        })
    }

    /// Queues `request`; `answer` is called once it is on disk or has failed.
    pub(super) fn submit(&self, request: Request, answer: Answer) -> Result<(), LogError> {
        if let Request::Append(batch) = &request {
            batch.iter().try_for_each(record::validate)?;
            if batch.len() > self.max_batch {
                let id = batch[0].id.clone();
                let reason = format!("a batch of {} is larger than max_batch {}", batch.len(), self.max_batch);
                return Err(LogError::Invalid { id, reason });
            }
        }
        let Some(queue) = &self.queue else {
            return Err(stopped());
        };
        queue.try_send(Job { request, answer }).map_err(|error| match error {
            TrySendError::Full(_) => LogError::Full,
            TrySendError::Disconnected(_) => stopped(),
        })
    }

    pub(super) fn held(&self) -> Held {
        *self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The error of a caller whose answer never came.
pub(super) fn stopped() -> LogError {
    LogError::Database("the writer thread has stopped".into())
}

impl Drop for Writer {
    fn drop(&mut self) {
        drop(self.queue.take());
        if let Some(thread) = self.thread.take() {
            // The thread ends once the queue is empty; a panic in it has already been reported by the hook.
            let _ = thread.join();
        }
    }
}

struct Loop {
    connection: Connection,
    config: LogConfig,
    held: Arc<Mutex<Held>>,
}

impl Loop {
    fn run(mut self, jobs: &Receiver<Job>) {
        while let Ok(first) = jobs.recv() {
            let deadline = Instant::now() + Duration::from_millis(self.config.commit_ms);
            let mut group = vec![first];
            // Takes only what already waits: a lone append is not delayed, and many share the fsync of one commit.
            while group.len() < self.config.queue.max(1) && Instant::now() < deadline {
                let Ok(job) = jobs.try_recv() else { break };
                group.push(job);
            }
            self.commit(group);
            self.retain();
        }
    }

    fn commit(&mut self, jobs: Vec<Job>) {
        let (requests, answers): (Vec<Request>, Vec<Answer>) =
            jobs.into_iter().map(|job| (job.request, job.answer)).unzip();
        match apply_all(&mut self.connection, &requests) {
            Ok(results) => {
                let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
                for applied in results.iter().flatten() {
                    held.rows += applied.rows;
                    held.bytes = held.bytes.saturating_add_signed(applied.bytes);
                }
                drop(held);
                answers
                    .into_iter()
                    .zip(results)
                    .for_each(|(answer, result)| answer(result));
            }
            Err(error) => answers.into_iter().for_each(|answer| answer(Err(error.clone()))),
        }
    }

    fn retain(&mut self) {
        let before = *self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let now = unix_s();
        let result = (|| {
            let transaction = self
                .connection
                .transaction_with_behavior(TransactionBehavior::Immediate)
                .map_err(database)?;
            let held = retention::evict(&transaction, &self.config, before, now)?;
            transaction.commit().map_err(database)?;
            Ok::<_, LogError>(held)
        })();
        match result {
            Ok(held) => {
                if held.evicted_untrained > before.evicted_untrained {
                    let rows = held.evicted_untrained - before.evicted_untrained;
                    tracing::warn!(
                        rows,
                        "the trajectory log's retention removed trajectories that were never trained on"
                    );
                }
                *self.held.lock().unwrap_or_else(PoisonError::into_inner) = held;
            }
            Err(error) => tracing::warn!(%error, "the trajectory log's retention failed and will be tried again"),
        }
    }
}

/// Applies the requests in one transaction. A request that fails is undone alone; a failure of the transaction fails all.
fn apply_all(connection: &mut Connection, requests: &[Request]) -> Result<Vec<Result<Applied, LogError>>, LogError> {
    let mut transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(database)?;
    let mut results = Vec::with_capacity(requests.len());
    for request in requests {
        let savepoint = transaction.savepoint().map_err(database)?;
        let result = apply(&savepoint, request);
        // SQLite may have rolled the whole transaction back by itself (disk full); then nothing of it stands.
        if savepoint.is_autocommit() {
            return Err(result
                .err()
                .unwrap_or_else(|| LogError::Database("the transaction was rolled back".into())));
        }
        match &result {
            Ok(_) => savepoint.commit().map_err(database)?,
            Err(_) => drop(savepoint),
        }
        results.push(result);
    }
    // Opening a log commits, too, and mostly nothing; a death there comes before there is a run to resume.
    if results.iter().flatten().any(|applied| applied.changed > 0) {
        crash::point(crash::Point::LogCommit);
    }
    transaction.commit().map_err(database)?;
    Ok(results)
}

fn set_rewards(connection: &Connection, findings: &[(String, GraderVerdict)]) -> Result<Applied, LogError> {
    let mut bytes = 0;
    for (id, finding) in findings {
        bytes += write::set_reward(connection, id, finding)?;
    }
    Ok(Applied {
        changed: findings.len() as u64,
        bytes,
        ..Applied::default()
    })
}

fn apply(connection: &Connection, request: &Request) -> Result<Applied, LogError> {
    let changed = |changed| Applied {
        changed,
        ..Applied::default()
    };
    match request {
        Request::Append(batch) => {
            let (seqs, rows, bytes) = write::append(connection, batch)?;
            Ok(Applied {
                seqs,
                changed: rows,
                rows,
                bytes: bytes.cast_signed(),
            })
        }
        Request::SetRewards(findings) => set_rewards(connection, findings),
        Request::SetMissingRewards(findings) => {
            let mut missing = Vec::new();
            for (id, finding) in findings {
                if write::waits_for_reward(connection, id)? {
                    missing.push((id.clone(), finding.clone()));
                }
            }
            set_rewards(connection, &missing)
        }
        Request::CloseGroup(id) => write::close_group(connection, id).map(changed),
        Request::ReleaseHeld => write::release_held(connection).map(changed),
        Request::CloseExpired { timeout_s, now } => write::close_expired(connection, *timeout_s, *now).map(changed),
        Request::MarkTrained { run, ids, now } => write::mark_trained(connection, run, ids, *now).map(changed),
        Request::RepairTrained { run, consumed, now } => {
            write::repair_trained(connection, run, consumed, *now).map(changed)
        }
    }
}
