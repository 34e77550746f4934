//! Sleep: the server keeps its weights and gives the memory of the KV cache back, between two uses of the machine.

use std::sync::Arc;
use std::time::Duration;

use svs_engine::runtime::PauseMode;
use svs_engine::{EngineError, EngineHandle};
use svs_trainer::TrainerHandle;
use svs_trainer::run::RunState;
use tokio::sync::{RwLock, RwLockReadGuard};

/// Why a server does not fall asleep or wake up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SleepError {
    /// A run needs the engine.
    #[error("training run `{0}` is active; stop it first")]
    Training(String),
    /// It sleeps, so it cannot do what was asked.
    #[error("the server sleeps; POST /wake_up first")]
    Asleep,
    /// The engine has requests, and they are not to be touched.
    #[error("requests are running or waiting; end them, or use /sleep with a mode")]
    Requests,
    /// Requests still run.
    #[error("requests still run after {0} s (server.pause_timeout_seconds)")]
    Timeout(u64),
    /// The engine refuses.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

/// What was so when the server fell asleep.
#[derive(Debug, Clone, Copy)]
struct Nap {
    /// It was paused before, and will be again.
    paused: bool,
}

/// Whether a server sleeps, and what must not happen meanwhile.
#[derive(Debug)]
pub struct Sleep {
    engine: EngineHandle,
    trainer: Option<TrainerHandle>,
    patience: Duration,
    /// Written while it falls asleep or wakes up.
    nap: RwLock<Option<Nap>>,
}

/// Held by what must not happen while the server sleeps; it does not fall asleep meanwhile.
#[derive(Debug)]
pub struct Awake<'a> {
    _nap: RwLockReadGuard<'a, Option<Nap>>,
}

impl Sleep {
    /// Awake.
    #[must_use]
    pub fn new(engine: EngineHandle, trainer: Option<TrainerHandle>, patience_seconds: u64) -> Arc<Self> {
        Arc::new(Self {
            engine,
            trainer,
            patience: Duration::from_secs(patience_seconds),
            nap: RwLock::default(),
        })
    }

    /// Falls asleep: requests that are there end, finish or are kept as `mode` says; without a mode there must be none.
    /// One that sleeps sleeps on.
    ///
    /// # Errors
    /// Any [`SleepError`] but [`SleepError::Asleep`].
    pub async fn begin(self: &Arc<Self>, mode: Option<PauseMode>) -> Result<(), SleepError> {
        let sleep = Arc::clone(self);
        // A client that leaves must not leave it half asleep.
        finish(tokio::spawn(async move { sleep.fall(mode).await })).await
    }

    async fn fall(&self, mode: Option<PauseMode>) -> Result<(), SleepError> {
        let mut nap = self.nap.write().await;
        if nap.is_some() {
            return Ok(());
        }
        let status = self.trainer.as_ref().map(TrainerHandle::status);
        if let Some(status) = status
            && matches!(status.state, RunState::Running | RunState::Paused | RunState::Stopping)
        {
            return Err(SleepError::Training(status.run_id.unwrap_or_default()));
        }
        let stats = self.engine.stats();
        if mode.is_none() && stats.running + stats.waiting > 0 {
            return Err(SleepError::Requests);
        }
        let paused = self.engine.is_paused();
        let falling = self.engine.sleep(mode.unwrap_or(PauseMode::Keep));
        match tokio::time::timeout(self.patience, falling).await {
            Ok(Ok(())) => *nap = Some(Nap { paused }),
            Ok(Err(error)) => return Err(error.into()),
            Err(_) => {
                if !paused {
                    self.engine.resume().await?;
                }
                return Err(SleepError::Timeout(self.patience.as_secs()));
            }
        }
        Ok(())
    }

    /// Wakes up; requests that were kept go on, unless the server was paused before it slept. One that is awake stays so.
    ///
    /// # Errors
    /// [`SleepError::Engine`]: it sleeps on then.
    pub async fn end(self: &Arc<Self>) -> Result<(), SleepError> {
        let sleep = Arc::clone(self);
        let waking = async move {
            let mut nap = sleep.nap.write().await;
            let Some(was) = *nap else { return Ok(()) };
            sleep.engine.wake().await?;
            *nap = None;
            if !was.paused {
                sleep.engine.resume().await?;
            }
            Ok(())
        };
        finish(tokio::spawn(waking)).await
    }

    /// Keeps the server awake as long as the value lives.
    ///
    /// # Errors
    /// [`SleepError::Asleep`], also while it falls asleep or wakes up.
    pub fn awake(&self) -> Result<Awake<'_>, SleepError> {
        let nap = self.nap.try_read().map_err(|_| SleepError::Asleep)?;
        match *nap {
            Some(_) => Err(SleepError::Asleep),
            None => Ok(Awake { _nap: nap }),
        }
    }
}

async fn finish(task: tokio::task::JoinHandle<Result<(), SleepError>>) -> Result<(), SleepError> {
    let broken = |error| EngineError::Stopped(format!("falling asleep or waking up failed: {error}"));
    task.await.map_err(broken)?
}
