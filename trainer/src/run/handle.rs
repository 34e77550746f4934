//! The handle on the in-process trainer, and the thread behind it.

use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use svs_engine::load::LoadedModel;
use svs_engine::{EngineError, EngineHandle};

use super::accuracy::{self, ProblemAccuracy, ProblemSort};
use super::behind::team;
use super::claim::{CONFIG_FILE, claim};
use super::clients::{self, Backlog};
use super::config::{Recipe, is_run_id};
use super::control::Control;
use super::runner::{Runner, Surroundings};
use super::task::{Outcome, Task};
use super::watchdog::watch;
use super::{Totals, TrainConfig, TrainError, TrainStatus, source};
use crate::eval::{EvalConfig, EvalError, EvalReport, evaluate};
use crate::log::TrajectoryLog;

/// Handle on the in-process trainer. Cheap to clone; at most one run at a time.
#[derive(Debug, Clone)]
pub struct TrainerHandle {
    surroundings: Arc<Surroundings>,
    control: Arc<Control>,
    thread: Arc<Mutex<Option<JoinHandle<()>>>>,
}

impl TrainerHandle {
    /// A trainer for the model that `engine` serves. Nothing runs until `start`. Runs live in folders under `runs`.
    #[must_use]
    pub fn new(engine: EngineHandle, model: Arc<LoadedModel>, log: TrajectoryLog, runs: PathBuf) -> Self {
        let surroundings = Arc::new(Surroundings {
            engine,
            model,
            log,
            runs,
        });
        Self {
            surroundings,
            control: Arc::default(),
            thread: Arc::default(),
        }
    }

    /// Starts a run, or continues one from its last checkpoint when `resume` is true (from the beginning if the run
    /// ended before its first checkpoint). Reads problems and checkpoint before it returns, so it may block.
    ///
    /// # Errors
    /// [`TrainError::Config`], [`TrainError::State`], [`TrainError::Run`].
    pub fn start(&self, config: TrainConfig, resume: bool) -> Result<TrainStatus, TrainError> {
        config.validate()?;
        // Before its lock is looked at, which a run of this process holds, too.
        self.control.must_be_free()?;
        let named = claim(&self.surroundings.runs, &config, resume)?;
        self.control.claim(&named.0, config.steps)?;
        let opened = Runner::open(
            Arc::clone(&self.surroundings),
            Arc::clone(&self.control),
            config,
            named,
            resume,
        );
        let runner = opened.inspect_err(|_| self.control.give_back())?;
        let control = Arc::clone(&self.control);
        let body = move || {
            // A panic is a bug, but one in the trainer must not take the server with it or leave the run "running".
            let outcome = std::panic::catch_unwind(AssertUnwindSafe(|| run_watched(runner)));
            control.end(outcome.unwrap_or_else(|_| Err(TrainError::Run("the trainer panicked; see the log".into()))));
        };
        let spawned = std::thread::Builder::new().name("trainer".into()).spawn(body);
        match spawned {
            Ok(thread) => *self.thread.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread),
            Err(error) => {
                let error = TrainError::Run(format!("cannot start the trainer's thread: {error}"));
                self.control.give_back();
                return Err(error);
            }
        }
        Ok(self.status())
    }

    /// Pauses after the current step.
    ///
    /// # Errors
    /// [`TrainError::State`].
    pub fn pause(&self) -> Result<TrainStatus, TrainError> {
        self.control.pause()
    }

    /// Goes on after a pause.
    ///
    /// # Errors
    /// [`TrainError::State`].
    pub fn resume(&self) -> Result<TrainStatus, TrainError> {
        self.control.resume()
    }

    /// Stops after the current step and writes a checkpoint.
    ///
    /// # Errors
    /// [`TrainError::State`].
    pub fn stop(&self) -> Result<TrainStatus, TrainError> {
        self.control.stop()
    }

    /// Asks the run to do something before its next step, or while it is paused.
    ///
    /// # Errors
    /// [`TrainError::State`].
    pub fn ask(&self, task: Task) -> Result<Outcome, TrainError> {
        self.control.submit(task)
    }

    /// The configuration that the run goes on by; that of the last one if none is active, `None` before the first.
    #[must_use]
    pub fn config(&self) -> Option<TrainConfig> {
        self.control.config()
    }

    /// How every problem of the current or last run fared so far, sorted, and the id of that run; `None` before the first run.
    #[must_use]
    pub fn problems(&self, by: ProblemSort, descending: bool) -> Option<(String, Vec<ProblemAccuracy>)> {
        let known = self.control.visits();
        (!known.run_id.is_empty()).then(|| (known.run_id.clone(), accuracy::sorted(&known.visits, by, descending)))
    }

    /// Weight versions after which the active run trains on clients' trajectories no more; `None` without such a run.
    #[must_use]
    pub fn client_staleness(&self) -> Option<u64> {
        Some(self.control.of_clients()?.0.trajectories.max_staleness)
    }

    /// Groups that wait for the active run, if it trains on those of clients.
    ///
    /// # Errors
    /// [`TrainError::Run`].
    pub fn client_backlog(&self) -> Result<Option<Backlog>, TrainError> {
        clients::backlog(&self.surroundings.log, &self.control)
    }

    /// What it works with.
    pub(super) fn surroundings(&self) -> &Surroundings {
        &self.surroundings
    }

    /// The folder of a run, if there is one of that id.
    #[must_use]
    pub fn folder(&self, run_id: &str) -> Option<PathBuf> {
        let folder = self.surroundings.runs.join(run_id);
        (is_run_id(run_id) && folder.join(CONFIG_FILE).is_file()).then_some(folder)
    }

    /// Evaluates the weights that are served now on the held-out problems of `config`, beside whatever runs and behind it;
    /// they stay to its end, whatever is published meanwhile. May take long.
    ///
    /// # Errors
    /// [`TrainError::Config`], [`TrainError::Run`].
    pub fn evaluate(&self, config: &TrainConfig) -> Result<EvalReport, TrainError> {
        config.validate()?;
        if config.recipe == Recipe::Sft {
            return Err(TrainError::Config {
                field: "recipe".into(),
                reason: "a run of the recipe `sft` has no problems to solve; its metrics have `val/loss`".into(),
            });
        }
        let (around, limits) = (&*self.surroundings, source::limits(config, &self.surroundings.engine)?);
        let prompts = source::prompts(config.prompts.as_ref(), &around.model)?;
        let problems = source::evaluated(config)?;
        // Held to the end: publishes go on meanwhile.
        let weights = around.engine.weights().policy();
        let settings = EvalConfig {
            weights: Some(weights.version.to_string()),
            ..EvalConfig::of_run(config, limits.1)
        };
        evaluate(&around.engine, &problems, &prompts, &settings, |_, _| {}).map_err(|error| match error {
            EvalError::Setting { field, reason } => TrainError::Config {
                field: format!("eval.{field}"),
                reason,
            },
            EvalError::Engine(EngineError::Asleep) => TrainError::Asleep,
            error => TrainError::Run(error.to_string()),
        })
    }

    /// Where the run stands.
    #[must_use]
    pub fn status(&self) -> TrainStatus {
        self.control.status()
    }

    /// Where the run of that id stands, or how it ended, if at most one run has begun since.
    #[must_use]
    pub fn status_of(&self, run_id: &str) -> Option<TrainStatus> {
        self.control.status_of(run_id)
    }

    /// What all runs of this process have counted so far.
    #[must_use]
    pub fn totals(&self) -> Totals {
        self.control.totals()
    }

    /// A snapshot at every change from now on. A listener that falls far behind misses some.
    #[must_use]
    pub fn subscribe(&self) -> Receiver<TrainStatus> {
        self.control.subscribe()
    }

    /// Waits for the thread of the last run to end, and says how the run stands then.
    #[must_use]
    pub fn wait(&self) -> TrainStatus {
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            // The body catches panics, so joining cannot fail in a way that the status does not say.
            let _ = thread.join();
        }
        self.status()
    }
}

/// Runs on this thread, with a watchdog beside it if the configuration wants one.
fn run_watched(runner: Runner) -> Result<(), TrainError> {
    let patience = runner.memory.config.watchdog_s;
    if patience == 0.0 {
        return run_with_team(runner);
    }
    let (around, control) = (Arc::clone(&runner.around), Arc::clone(&runner.control));
    let (running, over) = sync_channel(0);
    std::thread::scope(|scope| {
        let (control, around) = (&*control, &*around);
        let body = move || watch(control, around, Duration::from_secs_f64(patience), over);
        let watchdog = std::thread::Builder::new()
            .name("watchdog".into())
            .spawn_scoped(scope, body);
        watchdog.map_err(|error| TrainError::Run(format!("cannot start the watchdog's thread: {error}")))?;
        // Dropped at the end of the run, also by a panic: the watchdog then ends.
        let _running: SyncSender<()> = running;
        run_with_team(runner)
    })
}

/// Runs on this thread and a team of its own.
fn run_with_team(runner: Runner) -> Result<(), TrainError> {
    team()?.install(|| runner.run())
}
