//! LoRA adapters beside the base: each is merged into the model as loaded, packed, and served under its own name.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

use svs_engine::load::lora::Lora;
use svs_engine::load::{AllowedFolder, LoadError, LoadedModel};
use svs_engine::ops::behind_serving;
use svs_engine::{EngineError, EngineHandle, WeightSet};
use tokio::sync::oneshot;

use crate::app::unix_seconds;
use crate::config::HttpConfig;

/// Longest name of an adapter, bytes.
const MAX_NAME_BYTES: usize = 256;
/// What merging and packing keeps of a core that serving wants.
const SHARE: f64 = 0.1;

/// Why an adapter is not loaded or unloaded.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum AdapterError {
    /// The operator allows no folder.
    #[error("this server loads no adapters on request: it was started without --lora-dir (server.lora_dir)")]
    NoFolder,
    /// The name cannot be used.
    #[error("{0}")]
    Name(String),
    /// No adapter has that name.
    #[error("no adapter is loaded under the name `{0}`; GET /v1/models lists the names")]
    Unknown(String),
    /// Another one is being loaded.
    #[error("another adapter is being loaded; try again")]
    Busy,
    /// The folder is none that may be read, or what it holds is wrong or not supported.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// There is no room, or the engine refuses.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The thread that loads cannot be started or has died.
    #[error("loading failed: {0}")]
    Thread(String),
}

/// A loaded adapter. Who holds it can use it, also after it was unloaded.
#[derive(Debug)]
pub struct Adapter {
    /// Name to send as `model`.
    pub name: String,
    /// The folder as it was named.
    pub path: String,
    /// Merged and packed.
    pub weights: Arc<WeightSet>,
    /// When it was loaded, seconds since the epoch.
    pub created: u64,
}

impl PartialEq for Adapter {
    fn eq(&self, other: &Self) -> bool {
        self.weights.version == other.weights.version
    }
}

/// The adapters of a server.
#[derive(Debug)]
pub struct Adapters {
    engine: EngineHandle,
    base: Arc<LoadedModel>,
    /// Names that mean the policy.
    taken: Vec<String>,
    /// Where requests may load from.
    root: Option<PathBuf>,
    held: Mutex<BTreeMap<String, Arc<Adapter>>>,
    /// Held while one is being loaded: merging copies the parameters, once at a time.
    loading: Mutex<()>,
}

impl Adapters {
    /// Loads those that the configuration names.
    ///
    /// # Errors
    /// [`AdapterError`] of the first that cannot be loaded.
    pub fn open(engine: EngineHandle, base: Arc<LoadedModel>, config: &HttpConfig) -> Result<Arc<Self>, AdapterError> {
        let own = ["policy", "*", &base.name].map(str::to_owned);
        let taken = own
            .into_iter()
            .chain(config.served_model_names.iter().cloned())
            .collect();
        let adapters = Self {
            engine,
            base,
            taken,
            root: config.lora_dir.clone(),
            held: Mutex::default(),
            loading: Mutex::default(),
        };
        for (name, path) in &config.lora {
            adapters.load_from(name, || AllowedFolder::anywhere(path))?;
        }
        Ok(Arc::new(adapters))
    }

    fn held(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Adapter>>> {
        // Nothing panics while the lock is held, so a poisoned one is still consistent.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The adapter called `name`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Arc<Adapter>> {
        self.held().get(name).cloned()
    }

    /// All adapters by name.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<Adapter>> {
        self.held().values().cloned().collect()
    }

    /// The folder that requests may load from.
    ///
    /// # Errors
    /// [`AdapterError::NoFolder`].
    pub fn root(&self) -> Result<&Path, AdapterError> {
        self.root.as_deref().ok_or(AdapterError::NoFolder)
    }

    /// Loads the folder `path` inside [`Adapters::root`] as `name`, on a thread behind those that serve.
    ///
    /// # Errors
    /// Any [`AdapterError`].
    pub async fn load(self: &Arc<Self>, name: String, path: String) -> Result<Arc<Adapter>, AdapterError> {
        let root = self.root()?.to_path_buf();
        let (reply, loaded) = oneshot::channel();
        let adapters = Arc::clone(self);
        let work = move || {
            if let Err(error) = behind_serving(SHARE) {
                tracing::warn!("an adapter is loaded at normal priority: {error}");
            }
            // A client that has left does not undo what it asked for.
            let _ = reply.send(adapters.load_from(&name, || AllowedFolder::inside(&root, &path)));
        };
        let thread = std::thread::Builder::new().name("svs-lora".into()).spawn(work);
        thread.map_err(|error| AdapterError::Thread(error.to_string()))?;
        let died = |_| AdapterError::Thread("its thread panicked; the log has the cause".into());
        loaded.await.map_err(died)?
    }

    fn load_from(
        &self,
        name: &str,
        folder: impl FnOnce() -> Result<AllowedFolder, LoadError>,
    ) -> Result<Arc<Adapter>, AdapterError> {
        let _loading = match self.loading.try_lock() {
            Ok(guard) => guard,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return Err(AdapterError::Busy),
        };
        self.check_name(name)?;
        let folder = folder()?;
        let version = self.engine.adapter_version()?;
        let merged = Lora::load(&folder, &self.base.params.layout)?.merge(&self.base.params)?;
        let adapter = Arc::new(Adapter {
            name: name.to_owned(),
            path: folder.shown().to_owned(),
            weights: self.engine.pin_adapter(version, name, &merged)?,
            created: unix_seconds(),
        });
        self.held().insert(name.to_owned(), Arc::clone(&adapter));
        tracing::info!("adapter {name} loaded as weight version {version}");
        Ok(adapter)
    }

    /// Names are for people and logs, and never mean two things.
    fn check_name(&self, name: &str) -> Result<(), AdapterError> {
        let refuse = |reason: String| Err(AdapterError::Name(reason));
        if name.is_empty() || name.len() > MAX_NAME_BYTES || name.chars().any(char::is_control) {
            return refuse(format!(
                "must have 1 to {MAX_NAME_BYTES} bytes and no control characters"
            ));
        }
        if name.bytes().all(|byte| byte.is_ascii_digit()) {
            return refuse(format!("`{name}` could be a weight version; use a name with a letter"));
        }
        if name.starts_with(crate::jobs::tuned::PREFIX) {
            return refuse(format!(
                "`{name}`: names that begin with `ft:` belong to fine-tuning jobs"
            ));
        }
        if self.held().contains_key(name) {
            return refuse(format!("an adapter is loaded as `{name}` already; unload it first"));
        }
        if self.taken.iter().any(|taken| taken == name) {
            return refuse(format!("`{name}` is a name of the served model"));
        }
        // Also an adapter of that name which running requests still use.
        match self.engine.weights().resolve(Some(name)) {
            Ok(set) => refuse(format!(
                "`{name}` is the label of weight version {}, which is in use",
                set.version
            )),
            Err(_) => Ok(()),
        }
    }

    /// Forgets the adapter called `name`; requests that run on it finish.
    ///
    /// # Errors
    /// [`AdapterError::NoFolder`], [`AdapterError::Unknown`].
    pub fn unload(&self, name: &str) -> Result<Arc<Adapter>, AdapterError> {
        self.root()?;
        let adapter = self.held().remove(name);
        let adapter = adapter.ok_or_else(|| AdapterError::Unknown(name.to_owned()))?;
        self.engine.weights().unpin(adapter.weights.version);
        tracing::info!("adapter {name} unloaded");
        Ok(adapter)
    }
}
