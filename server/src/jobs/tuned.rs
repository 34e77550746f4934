//! Models that jobs made, under `ft:` names: packed from a checkpoint when a request asks for one, bounded in number.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use svs_engine::ops::behind_serving;
use svs_engine::{EngineError, EngineHandle};
use svs_trainer::TrainerHandle;
use svs_trainer::run::RunState;

use super::record::{Record, Status};
use crate::adapters::Adapter;

/// What the names begin with.
pub const PREFIX: &str = "ft:";
/// What stands between the name of a job's model and the step of a checkpoint.
const STEP: &str = ":ckpt-step-";
/// Requests that may wait for a model to be loaded.
const MAX_WAITING: usize = 16;
/// What loading keeps of a core that serving wants.
const SHARE: f64 = 0.1;
/// Weight sets that a run needs: what is served, what it was before, what comes next.
const SETS_OF_A_RUN: usize = 3;

/// Why a model cannot answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TunedError {
    /// The job has no such model, or not any more.
    #[error("{0}")]
    Gone(String),
    /// Too many requests wait for models to be loaded.
    #[error("{MAX_WAITING} requests wait for fine-tuned models to be loaded; try again")]
    Busy,
    /// There is no room, or the engine refuses.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The checkpoint cannot be read.
    #[error("{0}")]
    Load(String),
}

/// What a name means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The job.
    pub job: String,
    /// The checkpoint; `None` is the last.
    pub step: Option<u64>,
    /// When the job ended, or was made, seconds since the epoch.
    pub created: u64,
    /// The model that the job began with.
    pub parent: String,
}

/// The name of a checkpoint of the model `tuned`.
#[must_use]
pub fn checkpoint_name(tuned: &str, step: u64) -> String {
    format!("{tuned}{STEP}{step}")
}

/// What `name` means among `jobs`; `None` if it is no name of theirs.
///
/// # Errors
/// [`TunedError::Gone`] for the name of a job that has not succeeded.
pub fn resolve<'j>(jobs: impl IntoIterator<Item = &'j Record>, name: &str) -> Result<Option<Wanted>, TunedError> {
    for job in jobs {
        let Some(rest) = name.strip_prefix(job.tuned.as_str()) else {
            continue;
        };
        let step = match rest.strip_prefix(STEP) {
            Some(step) => match step.parse().ok().filter(|number: &u64| number.to_string() == step) {
                Some(step) => Some(step),
                None => continue,
            },
            None if rest.is_empty() => None,
            None => continue,
        };
        if step.is_none() && job.status != Status::Succeeded {
            let message = format!(
                "`{name}` is not there: job `{}` is {}; GET /v1/fine_tuning/jobs/{}/checkpoints lists what it has",
                job.id,
                job.status.name(),
                job.id
            );
            return Err(TunedError::Gone(message));
        }
        return Ok(Some(Wanted {
            job: job.id.clone(),
            step,
            created: job.finished_at.unwrap_or(job.created_us / 1_000_000),
            parent: job.model.clone(),
        }));
    }
    Ok(None)
}

/// The models that are in memory.
#[derive(Debug)]
pub struct Tuned {
    engine: EngineHandle,
    trainer: TrainerHandle,
    most: usize,
    /// The one not asked for longest first.
    held: Mutex<Vec<Arc<Adapter>>>,
    /// Held while one is being loaded: a checkpoint is unpacked once at a time.
    loading: Mutex<()>,
    waiting: AtomicUsize,
    /// Rollbacks of runs so far.
    rollbacks: AtomicU64,
}

impl Tuned {
    /// At most `most` models beside the policy of `engine`.
    #[must_use]
    pub fn new(engine: EngineHandle, trainer: TrainerHandle, most: usize) -> Arc<Self> {
        Arc::new(Self {
            engine,
            trainer,
            most,
            held: Mutex::default(),
            loading: Mutex::default(),
            waiting: AtomicUsize::new(0),
            rollbacks: AtomicU64::new(0),
        })
    }

    fn held(&self) -> MutexGuard<'_, Vec<Arc<Adapter>>> {
        // Nothing panics while the lock is held, so a poisoned one is still consistent.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The model `name` if it is in memory; it is the last to make way then.
    #[must_use]
    pub fn resident(&self, name: &str) -> Option<Arc<Adapter>> {
        let mut held = self.held();
        let at = held.iter().position(|model| model.name == name)?;
        let model = held.remove(at);
        held.push(Arc::clone(&model));
        Some(model)
    }

    /// The model `name`, loaded if need be: blocks meanwhile.
    ///
    /// # Errors
    /// Any [`TunedError`].
    pub fn get(&self, name: &str, wanted: &Wanted) -> Result<Arc<Adapter>, TunedError> {
        if let Some(model) = self.resident(name) {
            return Ok(model);
        }
        let waiting = self.waiting.fetch_add(1, Ordering::Relaxed);
        let loaded = if waiting < MAX_WAITING {
            let _loading = self.loading.lock().unwrap_or_else(PoisonError::into_inner);
            match self.resident(name) {
                Some(model) => Ok(model),
                None => self.load_behind(name, wanted),
            }
        } else {
            Err(TunedError::Busy)
        };
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        loaded
    }

    /// Loads on a thread of its own, behind those that serve.
    fn load_behind(&self, name: &str, wanted: &Wanted) -> Result<Arc<Adapter>, TunedError> {
        let work = || {
            if let Err(error) = behind_serving(SHARE) {
                tracing::warn!("a model is loaded at normal priority: {error}");
            }
            self.load(name, wanted)
        };
        std::thread::scope(|scope| {
            let thread = std::thread::Builder::new()
                .name("svs-tuned".into())
                .spawn_scoped(scope, work);
            let thread = thread.map_err(|error| TunedError::Load(error.to_string()))?;
            let died = |_| TunedError::Load("loading panicked; the log has the cause".into());
            thread.join().map_err(died)?
        })
    }

    fn load(&self, name: &str, wanted: &Wanted) -> Result<Arc<Adapter>, TunedError> {
        let rollbacks = self.rollbacks.load(Ordering::SeqCst);
        let restored = self.trainer.restored(&wanted.job, wanted.step);
        let policy = restored.map_err(|error| TunedError::Load(error.to_string()))?;
        let Some(policy) = policy else {
            let message = format!(
                "the weights of `{name}` are not kept any more (`checkpoint.keep`); \
                 GET /v1/fine_tuning/jobs/{}/checkpoints lists those that are",
                wanted.job
            );
            return Err(TunedError::Gone(message));
        };
        self.shrink(self.room().saturating_sub(1));
        if self.room() == 0 {
            return Err(TunedError::Engine(EngineError::NoRoom(format!(
                "a run is active and needs {SETS_OF_A_RUN} of engine.max_weight_sets = {}: no fine-tuned model fits \
                 beside it; raise it, or wait for the run to end",
                self.engine.config().max_weight_sets
            ))));
        }
        let version = loop {
            match self.engine.adapter_version() {
                Err(EngineError::NoRoom(_)) if self.drop_oldest() => {}
                version => break version?,
            }
        };
        let model = Arc::new(Adapter {
            name: name.to_owned(),
            path: name.to_owned(),
            weights: self.engine.pin_adapter(version, name, policy.params())?,
            created: wanted.created,
        });
        let mut held = self.held();
        if self.rollbacks.load(Ordering::SeqCst) != rollbacks {
            drop(held);
            self.engine.weights().unpin(version);
            let message = format!("a run went back to an earlier step while `{name}` was being loaded; ask again");
            return Err(TunedError::Gone(message));
        }
        held.push(Arc::clone(&model));
        tracing::info!("{name} loaded as weight version {version}");
        Ok(model)
    }

    /// How many may be in memory now.
    fn room(&self) -> usize {
        let state = self.trainer.status().state;
        if matches!(state, RunState::Running | RunState::Paused | RunState::Stopping) {
            return self.room_beside_a_run();
        }
        self.most
    }

    fn room_beside_a_run(&self) -> usize {
        let sets = self.engine.config().max_weight_sets;
        self.most.min(sets.saturating_sub(SETS_OF_A_RUN))
    }

    /// Lets models go before a run begins: it needs room to publish. Requests that use them finish.
    pub fn make_room(&self) {
        self.shrink(self.room_beside_a_run());
    }

    /// Lets the checkpoints of `tuned` behind `step` go, and what is being loaded now.
    pub fn forget_after(&self, tuned: &str, step: u64) {
        let gone = |name: &str| {
            let step_of = name
                .strip_prefix(tuned)
                .and_then(|rest| rest.strip_prefix(STEP)?.parse::<u64>().ok());
            step_of.is_some_and(|found| found > step)
        };
        let mut held = self.held();
        self.rollbacks.fetch_add(1, Ordering::SeqCst);
        let (gone, kept) = held.drain(..).partition(|model| gone(&model.name));
        *held = kept;
        drop(held);
        let gone: Vec<Arc<Adapter>> = gone;
        for model in gone {
            self.engine.weights().unpin(model.weights.version);
            tracing::info!("{} was undone by a rollback", model.name);
        }
    }

    /// Lets one model go that is in memory, so that something else has room; false if there was none.
    pub fn make_way(&self) -> bool {
        self.drop_oldest()
    }

    fn shrink(&self, most: usize) {
        loop {
            let held = self.held().len();
            if held <= most || !self.drop_oldest() {
                return;
            }
        }
    }

    /// False if there was none.
    fn drop_oldest(&self) -> bool {
        let mut held = self.held();
        if held.is_empty() {
            return false;
        }
        let model = held.remove(0);
        drop(held);
        self.engine.weights().unpin(model.weights.version);
        tracing::info!("{} makes way", model.name);
        true
    }
}

#[cfg(test)]
mod tests {
    use svs_trainer::TrainConfig;

    use super::*;

    #[test]
    fn names_mean_jobs_and_their_checkpoints() {
        let job = |id: &str, status| Record {
            id: id.into(),
            created_us: 7_000_000,
            finished_at: None,
            status,
            error: None,
            model: "base".into(),
            tuned: format!("ft:base:svs::{id}"),
            method: serde_json::Value::Null,
            training_file: "file-1".into(),
            validation_file: None,
            metadata: None,
            trained_tokens: None,
            told: 0,
            saved: 0,
            config: TrainConfig::default(),
        };
        let jobs = [job("a", Status::Running), job("b", Status::Succeeded)];
        for (name, wanted) in [
            ("base", Ok(None)),
            ("ft:base:svs::c", Ok(None)),
            ("ft:base:svs::b", Ok(Some(("b", None)))),
            ("ft:base:svs::b:ckpt-step-12", Ok(Some(("b", Some(12))))),
            ("ft:base:svs::b:ckpt-step-", Ok(None)),
            ("ft:base:svs::b:ckpt-step-012", Ok(None)),
            ("ft:base:svs::bb", Ok(None)),
            ("ft:base:svs::a:ckpt-step-1", Ok(Some(("a", Some(1))))),
            ("ft:base:svs::a", Err("is running")),
        ] {
            match (resolve(&jobs, name), wanted) {
                (Ok(found), Ok(wanted)) => {
                    let found = found.map(|found| (found.job, found.step));
                    assert_eq!(found, wanted.map(|(job, step)| (job.to_owned(), step)), "{name}");
                }
                (Err(error), Err(said)) => assert!(error.to_string().contains(said), "{error}"),
                (found, _) => panic!("{name}: {found:?}"),
            }
        }
    }
}
