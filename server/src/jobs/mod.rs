//! Fine-tuning jobs: runs of the trainer that are queued, told of, and outlive the process.
//!
//! A job is the folder of its run with `job.json` and `events.jsonl` in it. One of them runs at a time.

mod config;
mod drive;
pub mod events;
mod folders;
pub mod plan;
pub mod record;
mod settle;
pub mod tuned;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use svs_trainer::run::RunState;
use svs_trainer::{TrainConfig, TrainerHandle};
use tokio::sync::watch;

pub use config::JobsConfig;
use events::Events;
pub use record::{Record, Status};
pub use settle::metrics_of;
pub use tuned::Tuned;
use tuned::{TunedError, Wanted};

use crate::app::unix_seconds;
use crate::own_folder::OwnFolder;
use crate::sleep::Sleep;

/// What ids of jobs begin with.
pub const PREFIX: &str = "ftjob-";

/// Why a job is not made, found or changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JobError {
    /// The folder cannot be used.
    #[error("this server keeps no jobs: {0}")]
    Unavailable(String),
    /// No such job.
    #[error("there is no job `{0}`; GET /v1/fine_tuning/jobs lists them")]
    Unknown(String),
    /// It is not in a state for that.
    #[error("{0}")]
    State(String),
    /// As many jobs are held as may be.
    #[error("{0} jobs are held (server.jobs.max_jobs); stop the server and remove folders of ended ones from its runs")]
    Full(usize),
    /// As many jobs wait as may.
    #[error("{0} jobs wait already (server.jobs.max_queued); try again when one has ended")]
    Queue(usize),
    /// The disk.
    #[error("{0}")]
    Disk(String),
}

/// A job in memory.
#[derive(Debug)]
struct Job {
    record: Record,
    events: Events,
    /// This process has handed it to the trainer, and has not yet seen how it ended.
    live: bool,
    /// The state that its run was asked for and has not been seen in, and the step of then.
    asked: Option<(RunState, u64)>,
}

#[derive(Debug, Default)]
struct Held {
    /// Oldest first.
    jobs: Vec<Job>,
    closing: bool,
}

/// What the drivers and the routes share.
#[derive(Debug)]
struct Shared {
    trainer: TrainerHandle,
    runs: PathBuf,
    config: JobsConfig,
    defaults: TrainConfig,
    tuned: Arc<Tuned>,
    sleep: Arc<Sleep>,
    held: Mutex<Held>,
    wake: Condvar,
    changed: watch::Sender<u64>,
}

/// The jobs of a server. Dropping it ends the drivers; what runs goes on with the next process.
#[derive(Debug)]
pub struct Jobs {
    shared: Result<Arc<Shared>, String>,
    drivers: Mutex<Vec<JoinHandle<()>>>,
}

impl Job {
    /// Refuses to `verb` it in a state that does not allow that.
    fn must_be(&self, verb: &str, allowed: impl Fn(Status) -> bool) -> Result<(), JobError> {
        let Record { id, status, .. } = &self.record;
        if allowed(*status) {
            return Ok(());
        }
        Err(JobError::State(format!(
            "cannot {verb} job `{id}`: it is {}",
            status.name()
        )))
    }
}

impl Shared {
    /// Whether the trainer's run, going on or ended, is the one of that job.
    fn trains(&self, id: &str) -> bool {
        self.trainer.status().run_id.as_deref() == Some(id)
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        // A change that panicked half-way would have been the disk's; what is on it counts after a restart.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn folder(&self, id: &str) -> PathBuf {
        self.runs.join(id)
    }

    fn tell(&self) {
        self.wake.notify_all();
        self.changed.send_modify(|count| *count += 1);
    }

    /// Changes a job, on the disk too, and notes what happened.
    fn change(&self, id: &str, level: &str, said: String, change: impl FnOnce(&mut Job)) -> Result<Record, JobError> {
        self.ask(id, level, said, |job| {
            change(job);
            Ok(())
        })
    }

    /// As [`Self::change`], unless `change` refuses. Nobody else changes the job between its look and what it does.
    fn ask(
        &self,
        id: &str,
        level: &str,
        said: String,
        change: impl FnOnce(&mut Job) -> Result<(), JobError>,
    ) -> Result<Record, JobError> {
        let mut held = self.held();
        let found = held.jobs.iter_mut().find(|job| job.record.id == id);
        let job = found.ok_or_else(|| JobError::Unknown(id.to_owned()))?;
        change(job)?;
        if job.record.status.is_final() && job.record.finished_at.is_none() {
            job.record.finished_at = Some(unix_seconds());
        }
        if job.record.status.is_final() && !job.live && job.record.trained_tokens.is_none() {
            job.record.trained_tokens = Some(settle::trained_tokens(&self.folder(id)));
        }
        let last = job.record.status.is_final();
        let noted = job.events.note(level, said, None, last);
        // What cannot be told is still so.
        let saved = job.record.save(&self.folder(id)).and(noted);
        let record = job.record.clone();
        drop(held);
        self.tell();
        saved
            .map(|()| record)
            .map_err(|error| JobError::Disk(error.to_string()))
    }
}

impl Jobs {
    /// The jobs in `runs`, and the threads that drive them. Where `own` is not there, every use says why.
    #[must_use]
    pub fn open(
        own: Result<&OwnFolder, &String>,
        (trainer, tuned, sleep): (TrainerHandle, Arc<Tuned>, Arc<Sleep>),
        runs: &Path,
        config: JobsConfig,
        defaults: TrainConfig,
    ) -> Arc<Self> {
        let shared = own.map_err(Clone::clone).and_then(|_| {
            let jobs = folders::read_all(runs, config).map_err(|error| format!("{}: {error}", runs.display()))?;
            Ok(Arc::new(Shared {
                trainer,
                runs: runs.to_path_buf(),
                config,
                defaults,
                tuned,
                sleep,
                held: Mutex::new(Held { jobs, closing: false }),
                wake: Condvar::new(),
                changed: watch::Sender::new(0),
            }))
        });
        let (mut shared, mut drivers) = (shared, Vec::new());
        if let Ok(inner) = &shared {
            match drivers_of(inner) {
                Ok(threads) => drivers = threads,
                Err(error) => shared = Err(format!("cannot start the threads that drive jobs: {error}")),
            }
        }
        Arc::new(Self {
            shared,
            drivers: Mutex::new(drivers),
        })
    }

    fn shared(&self) -> Result<&Arc<Shared>, JobError> {
        self.shared
            .as_ref()
            .map_err(|reason| JobError::Unavailable(reason.clone()))
    }

    /// All jobs, oldest first.
    ///
    /// # Errors
    /// [`JobError::Unavailable`].
    pub fn list(&self) -> Result<Vec<Record>, JobError> {
        let held = self.shared()?.held();
        Ok(held.jobs.iter().map(|job| job.record.clone()).collect())
    }

    /// What a name of a model means; without jobs no name means one.
    ///
    /// # Errors
    /// [`TunedError::Gone`] for the name of a job that has not succeeded.
    pub fn resolve(&self, name: &str) -> Result<Option<Wanted>, TunedError> {
        let Ok(shared) = &self.shared else { return Ok(None) };
        tuned::resolve(shared.held().jobs.iter().map(|job| &job.record), name)
    }

    /// The job of that id.
    ///
    /// # Errors
    /// [`JobError::Unknown`], [`JobError::Unavailable`].
    pub fn get(&self, id: &str) -> Result<Record, JobError> {
        let held = self.shared()?.held();
        let found = held.jobs.iter().find(|job| job.record.id == id);
        found
            .map(|job| job.record.clone())
            .ok_or_else(|| JobError::Unknown(id.to_owned()))
    }

    /// Where a job lies, and how many events it has.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub fn events(&self, id: &str) -> Result<(PathBuf, u64), JobError> {
        let shared = self.shared()?;
        let held = shared.held();
        let found = held.jobs.iter().find(|job| job.record.id == id);
        let job = found.ok_or_else(|| JobError::Unknown(id.to_owned()))?;
        Ok((shared.folder(id), job.events.count()))
    }

    /// The job of that id, if it is one of this server.
    #[must_use]
    pub fn find(&self, id: &str) -> Option<Record> {
        self.get(id).ok()
    }

    /// A run's configuration was changed: if it is a job's, the end that it has now is that of the job.
    ///
    /// # Errors
    /// [`JobError::Disk`].
    pub fn reconfigured(&self, run_id: &str) -> Result<(), JobError> {
        self.follow(run_id, |shared, job| settle::follow_end(shared, &mut job.record))
    }

    /// A run went back to `step`: if it is a job's, its events say so, and what is in memory of later checkpoints goes.
    ///
    /// # Errors
    /// [`JobError::Disk`].
    pub fn rolled_back(&self, run_id: &str, step: u64) -> Result<(), JobError> {
        self.follow(run_id, |shared, job| {
            // Also one that no event has told of yet.
            shared.tuned.forget_after(&job.record.tuned, step);
            settle::went_back(shared, job, step)
        })
    }

    /// Has the job of that run follow a change of it, if it is a job's.
    fn follow(
        &self,
        run_id: &str,
        change: impl FnOnce(&Shared, &mut Job) -> std::io::Result<()>,
    ) -> Result<(), JobError> {
        let Ok(shared) = &self.shared else { return Ok(()) };
        let mut held = shared.held();
        let job = held.jobs.iter_mut().find(|job| job.record.id == run_id);
        let followed = job.map_or(Ok(()), |job| change(shared, job));
        drop(held);
        shared.tell();
        followed.map_err(|error| JobError::Disk(error.to_string()))
    }

    /// Lets fine-tuned models in memory go that a run which is about to begin leaves no room for.
    pub fn make_room(&self) {
        if let Ok(shared) = &self.shared {
            shared.tuned.make_room();
        }
    }

    /// Counts changes of any job.
    ///
    /// # Errors
    /// [`JobError::Unavailable`].
    pub fn changes(&self) -> Result<watch::Receiver<u64>, JobError> {
        Ok(self.shared()?.changed.subscribe())
    }

    /// Whether the server is stopping.
    #[must_use]
    pub fn closing(&self) -> bool {
        self.shared.as_ref().is_ok_and(|shared| shared.held().closing)
    }

    /// The folder that a job of that id gets.
    ///
    /// # Errors
    /// [`JobError::Unavailable`].
    pub fn place(&self, id: &str) -> Result<PathBuf, JobError> {
        Ok(self.shared()?.folder(id))
    }

    /// Takes in a job, with its copies of `files`: where each lies, and its name in the job's folder.
    ///
    /// # Errors
    /// [`JobError::Full`], [`JobError::Queue`], [`JobError::Disk`], [`JobError::Unavailable`].
    pub fn create(&self, record: Record, files: &[(PathBuf, &str)]) -> Result<Record, JobError> {
        let shared = self.shared()?;
        let mut held = shared.held();
        if held.jobs.len() >= shared.config.max_jobs {
            return Err(JobError::Full(shared.config.max_jobs));
        }
        if held.jobs.iter().filter(|job| job.record.status.waits()).count() >= shared.config.max_queued {
            return Err(JobError::Queue(shared.config.max_queued));
        }
        let made = folders::take_in(&shared.runs, &record, files, shared.config.max_events);
        let events = made.map_err(|error| JobError::Disk(error.to_string()))?;
        held.jobs.push(Job {
            record: record.clone(),
            events,
            live: false,
            asked: None,
        });
        drop(held);
        shared.tell();
        Ok(record)
    }

    /// Ends a job: at once where it waits, after its current step where it is trained.
    ///
    /// # Errors
    /// [`JobError::State`] if it has ended, [`JobError::Unknown`], [`JobError::Disk`], [`JobError::Unavailable`].
    pub fn cancel(&self, id: &str) -> Result<Record, JobError> {
        let shared = self.shared()?;
        shared.ask(id, "info", "The job was cancelled.".to_owned(), |job| {
            job.must_be("cancel", |status| !status.is_final())?;
            job.record.status = Status::Cancelled;
            if job.live && shared.trains(id) {
                // It may have ended in between.
                let _ = shared.trainer.stop();
            }
            Ok(())
        })
    }

    /// Pauses a job after its current step.
    ///
    /// # Errors
    /// [`JobError::State`] if it is not running, [`JobError::Unknown`], [`JobError::Disk`], [`JobError::Unavailable`].
    pub fn pause(&self, id: &str) -> Result<Record, JobError> {
        let shared = self.shared()?;
        let said = "The job was paused; its current step ends first.".to_owned();
        shared.ask(id, "info", said, |job| {
            job.must_be("pause", |status| status == Status::Running)?;
            if !shared.trains(id) {
                return Err(JobError::State(format!("cannot pause job `{id}`: its run has ended")));
            }
            let paused = shared.trainer.pause();
            let step = paused.map_err(|error| JobError::State(error.to_string()))?.step;
            (job.record.status, job.asked) = (Status::Paused, Some((RunState::Paused, step)));
            Ok(())
        })
    }

    /// Lets a paused job go on; one that was paused before a restart waits for its turn.
    ///
    /// # Errors
    /// [`JobError::State`] if it is not paused, [`JobError::Unknown`], [`JobError::Disk`], [`JobError::Unavailable`].
    pub fn resume(&self, id: &str) -> Result<Record, JobError> {
        let shared = self.shared()?;
        shared.ask(id, "info", "The job was resumed.".to_owned(), |job| {
            job.must_be("resume", |status| status == Status::Paused)?;
            if !job.live {
                (job.record.status, job.asked) = (Status::Queued, None);
                return Ok(());
            }
            if !shared.trains(id) {
                return Err(JobError::State(format!("cannot resume job `{id}`: its run has ended")));
            }
            let resumed = shared.trainer.resume();
            let step = resumed.map_err(|error| JobError::State(error.to_string()))?.step;
            (job.record.status, job.asked) = (Status::Running, Some((RunState::Running, step)));
            Ok(())
        })
    }

    /// Ends the drivers, so that stopping the trainer now ends no job: it goes on with the next process.
    pub fn close(&self) {
        if let Ok(shared) = &self.shared {
            shared.held().closing = true;
            shared.tell();
        }
        let drivers = std::mem::take(&mut *self.drivers.lock().unwrap_or_else(PoisonError::into_inner));
        for driver in drivers {
            if driver.join().is_err() {
                tracing::error!("a thread that drives jobs panicked");
            }
        }
    }
}

impl Drop for Jobs {
    fn drop(&mut self) {
        self.close();
    }
}

/// The threads that drive jobs; if one of them cannot be started the other is not left alone.
fn drivers_of(shared: &Arc<Shared>) -> std::io::Result<Vec<JoinHandle<()>>> {
    let spawn = |name: &str, work: fn(&Shared)| {
        let shared = Arc::clone(shared);
        std::thread::Builder::new()
            .name(name.into())
            .spawn(move || work(&shared))
    };
    let runs = spawn("jobs", drive::drive_runs)?;
    match spawn("job-files", drive::drive_files) {
        Ok(files) => Ok(vec![runs, files]),
        Err(error) => {
            shared.held().closing = true;
            shared.tell();
            Err(error)
        }
    }
}
