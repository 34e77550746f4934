//! New weights from outside trainers: read from a folder that the operator allows, checked against the served model,
//! packed, and published as the next version.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, TryLockError};

use sha2::{Digest, Sha256};
use svs_engine::load::{AllowedFolder, LoadError, load_weights};
use svs_engine::ops::behind_serving;
use svs_engine::{EngineError, EngineHandle, InFlight, Params, WeightSet};
use svs_trainer::TrainerHandle;
use svs_trainer::run::RunState;
use tokio::sync::oneshot;

use crate::labels::Labels;

/// What reading and packing keeps of a core that serving wants.
const SHARE: f64 = 0.1;

/// Why weights are not updated.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UpdateError {
    /// The operator allows no folder.
    #[error("this server takes no weights on request: it was started without --weights-dir (server.weights_dir)")]
    NoFolder,
    /// Another update is being read or published.
    #[error("other weights are being updated or checked; try again")]
    Busy,
    /// The in-process trainer owns the weights.
    #[error("training run `{0}` is active and publishes its own weights; stop it first")]
    Training(String),
    /// No update was started.
    #[error("no weight update was started; POST /start_weight_update first")]
    NotStarted,
    /// An update was started and has no weights yet.
    #[error("the weight update has no weights yet; POST /update_weights first")]
    NotLoaded,
    /// An update had its weights and was started again since.
    #[error(
        "the weight update was begun anew by another POST /start_weight_update, which forgot the weights that were read; \
         POST /update_weights again"
    )]
    Forgotten,
    /// An update has its weights.
    #[error(
        "the weight update has its weights already; POST /finish_weight_update, or /start_weight_update to begin again"
    )]
    Loaded,
    /// The folder is none that may be read, or what it holds is wrong or not for this model.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The engine refuses.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The thread that works cannot be started or has died.
    #[error("the update failed: {0}")]
    Thread(String),
}

/// What a publish did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Updated {
    /// The new version.
    pub version: u64,
    /// Its label.
    pub label: String,
    /// Sequences that crossed the swap.
    pub crossed: usize,
}

/// An update in steps.
#[derive(Debug, Default)]
enum Stage {
    /// None.
    #[default]
    Closed,
    /// Started; one that was begun before may have had weights.
    Started { forgot: bool },
    /// Read, not published.
    Loaded(Params),
}

/// Updates of a server's weights, one at a time.
#[derive(Debug)]
pub struct Updates {
    engine: EngineHandle,
    trainer: Option<TrainerHandle>,
    labels: Arc<Labels>,
    /// Where requests may read from.
    root: Option<PathBuf>,
    /// Held while something is read, published or checked.
    stage: Mutex<Stage>,
}

impl Updates {
    /// None yet.
    #[must_use]
    pub fn new(
        engine: EngineHandle,
        trainer: Option<TrainerHandle>,
        labels: Arc<Labels>,
        root: Option<PathBuf>,
    ) -> Arc<Self> {
        Arc::new(Self {
            engine,
            trainer,
            labels,
            root,
            stage: Mutex::default(),
        })
    }

    /// The folder that requests may read from.
    ///
    /// # Errors
    /// [`UpdateError::NoFolder`].
    pub fn root(&self) -> Result<&Path, UpdateError> {
        self.root.as_deref().ok_or(UpdateError::NoFolder)
    }

    /// Begins an update in steps; one that was begun before is forgotten.
    ///
    /// # Errors
    /// [`UpdateError::NoFolder`], [`UpdateError::Training`], [`UpdateError::Busy`].
    pub fn start(&self) -> Result<(), UpdateError> {
        self.root()?;
        self.check_idle()?;
        let mut stage = self.stage()?;
        let forgot = matches!(*stage, Stage::Loaded(_) | Stage::Started { forgot: true });
        *stage = Stage::Started { forgot };
        Ok(())
    }

    /// Reads the weights of the update that was started.
    ///
    /// # Errors
    /// Any [`UpdateError`].
    pub async fn load(self: &Arc<Self>, path: String) -> Result<(), UpdateError> {
        self.on_a_thread(move |updates| {
            let mut stage = updates.stage()?;
            match *stage {
                Stage::Closed => return Err(UpdateError::NotStarted),
                Stage::Loaded(_) => return Err(UpdateError::Loaded),
                Stage::Started { .. } => {}
            }
            *stage = Stage::Loaded(updates.read(&path)?);
            Ok(())
        })
        .await
    }

    /// Publishes what the update has read.
    ///
    /// # Errors
    /// Any [`UpdateError`].
    pub async fn finish(self: &Arc<Self>, label: Option<String>, in_flight: InFlight) -> Result<Updated, UpdateError> {
        self.on_a_thread(move |updates| {
            let mut stage = updates.stage()?;
            let updated = match &*stage {
                Stage::Closed => return Err(UpdateError::NotStarted),
                Stage::Started { forgot: false } => return Err(UpdateError::NotLoaded),
                Stage::Started { forgot: true } => return Err(UpdateError::Forgotten),
                Stage::Loaded(params) => updates.publish(params, label, in_flight)?,
            };
            *stage = Stage::Closed;
            Ok(updated)
        })
        .await
    }

    /// Reads and publishes in one; `before` is called when the weights are ready. An update in steps goes on.
    ///
    /// # Errors
    /// Any [`UpdateError`].
    pub async fn update(
        self: &Arc<Self>,
        path: String,
        label: Option<String>,
        in_flight: InFlight,
        before: impl FnOnce() + Send + 'static,
    ) -> Result<Updated, UpdateError> {
        self.on_a_thread(move |updates| {
            let _working = updates.stage()?;
            let params = updates.read(&path)?;
            before();
            updates.publish(&params, label, in_flight)
        })
        .await
    }

    /// SHA-256 of every tensor that answers now, by its Hugging Face name.
    ///
    /// # Errors
    /// [`UpdateError::Busy`], [`UpdateError::Thread`].
    pub async fn checksums(self: &Arc<Self>) -> Result<BTreeMap<String, String>, UpdateError> {
        self.on_a_thread(|updates| {
            let _working = updates.stage()?;
            Ok(checksums(&updates.engine.weights().policy()))
        })
        .await
    }

    fn stage(&self) -> Result<MutexGuard<'_, Stage>, UpdateError> {
        match self.stage.try_lock() {
            Ok(guard) => Ok(guard),
            // A stage is replaced whole, so a poisoned one is still consistent.
            Err(TryLockError::Poisoned(poisoned)) => Ok(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => Err(UpdateError::Busy),
        }
    }

    fn check_idle(&self) -> Result<(), UpdateError> {
        let Some(status) = self.trainer.as_ref().map(TrainerHandle::status) else {
            return Ok(());
        };
        match status.state {
            RunState::Running | RunState::Paused | RunState::Stopping => {
                Err(UpdateError::Training(status.run_id.unwrap_or_default()))
            }
            RunState::Idle | RunState::Finished | RunState::Failed => Ok(()),
        }
    }

    fn read(&self, path: &str) -> Result<Params, UpdateError> {
        self.check_idle()?;
        let folder = AllowedFolder::inside(self.root()?, path)?;
        Ok(load_weights(folder, self.engine.model())?)
    }

    fn publish(&self, params: &Params, label: Option<String>, in_flight: InFlight) -> Result<Updated, UpdateError> {
        self.check_idle()?;
        let served = self.engine.weights().policy();
        let version = served.version + 1;
        let label = label.unwrap_or_else(|| format!("update-{version}"));
        let set = WeightSet::pack_as(served.storage, self.engine.model(), params, version, &label);
        // Or it would take a place of its own in the store.
        drop(served);
        let report = self.engine.publish(Arc::new(set), in_flight)?;
        self.labels.give(version, label.clone());
        tracing::info!("weights `{label}` from outside answer as version {version}");
        Ok(Updated {
            version,
            label,
            crossed: report.in_flight,
        })
    }

    /// Works on a thread behind those that serve.
    async fn on_a_thread<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> Result<T, UpdateError> + Send + 'static,
    ) -> Result<T, UpdateError> {
        let (reply, done) = oneshot::channel();
        let updates = Arc::clone(self);
        let body = move || {
            if let Err(error) = behind_serving(SHARE) {
                tracing::warn!("weights are updated at normal priority: {error}");
            }
            // A client that has left does not undo what it asked for.
            let _ = reply.send(work(&updates));
        };
        let thread = std::thread::Builder::new().name("svs-update".into()).spawn(body);
        thread.map_err(|error| UpdateError::Thread(error.to_string()))?;
        let died = |_| UpdateError::Thread("its thread panicked; the log has the cause".into());
        done.await.map_err(died)?
    }
}

fn checksums(set: &WeightSet) -> BTreeMap<String, String> {
    let mut hashes: BTreeMap<String, Sha256> = BTreeMap::new();
    let mut bytes = Vec::new();
    set.read(&mut |name, part| {
        bytes.clear();
        bytes.extend(part.iter().flat_map(|value| value.to_le_bytes()));
        match hashes.get_mut(name) {
            Some(hash) => hash.update(&bytes),
            None => {
                hashes.insert(name.to_owned(), Sha256::new_with_prefix(&bytes));
            }
        }
    });
    let hexadecimal = |hash: Sha256| hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    hashes
        .into_iter()
        .map(|(name, hash)| (name, hexadecimal(hash)))
        .collect()
}
