//! Model, engine, trajectory log and trainer, wired from a configuration; `svs serve` and `svs demo` share it.

use std::sync::Arc;

use svs_engine::load::{LoadError, LoadedModel, load};
use svs_engine::{EngineError, EngineHandle, WeightSet};
use svs_trainer::log::LogError;
use svs_trainer::{TrainerHandle, TrajectoryLog};

use crate::adapters::{AdapterError, Adapters};
use crate::app::App;
use crate::assets::{NoEmbeddedPolicy, model_source};
use crate::config::{ConfigError, ServeConfig};

/// File of the trajectory log in the runs folder.
pub const LOG_FILE: &str = "trajectories.sqlite";

/// Why the parts could not be wired.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StackError {
    /// No model was named and none is embedded.
    #[error(transparent)]
    NoModel(#[from] NoEmbeddedPolicy),
    /// The model cannot be loaded.
    #[error("cannot load the model: {0}")]
    Load(#[from] LoadError),
    /// The engine cannot run with these bounds.
    #[error("cannot start the engine: {0}")]
    Engine(#[from] EngineError),
    /// An adapter that the configuration names cannot be loaded.
    #[error("cannot load the LoRA adapters (server.lora): {0}")]
    Adapter(#[from] AdapterError),
    /// The trajectory log cannot be opened.
    #[error("cannot open the trajectory log: {0}")]
    Log(#[from] LogError),
    /// The runs folder cannot be made.
    #[error("cannot create the runs folder {path}: {source}")]
    Runs {
        /// The folder.
        path: std::path::PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The configuration cannot hold.
    #[error(transparent)]
    Config(#[from] ConfigError),
}

/// The parts of a server.
#[derive(Debug, Clone)]
pub struct Stack {
    /// The model as loaded.
    pub model: Arc<LoadedModel>,
    /// Generates.
    pub engine: EngineHandle,
    /// Adapters beside the model.
    pub adapters: Arc<Adapters>,
    /// Where trajectories go.
    pub log: TrajectoryLog,
    /// Trains.
    pub trainer: TrainerHandle,
}

impl Stack {
    /// Loads the configured model, starts its engine, opens the log in the runs folder. Nothing trains yet.
    ///
    /// # Errors
    /// Any [`StackError`].
    pub fn open(config: &ServeConfig) -> Result<Self, StackError> {
        config.server.validate()?;
        let source = model_source(config.model.as_deref())?;
        Self::with_model(load(&source)?, config)
    }

    /// As [`Stack::open`], with a model in memory.
    ///
    /// # Errors
    /// Any [`StackError`].
    pub fn with_model(model: LoadedModel, config: &ServeConfig) -> Result<Self, StackError> {
        let runs = config.runs_folder();
        std::fs::create_dir_all(&runs).map_err(|source| StackError::Runs {
            path: runs.clone(),
            source,
        })?;
        let model = Arc::new(model);
        let weights = Arc::new(WeightSet::pack_as(
            config.engine.storage(),
            &model.config,
            &model.params,
            0,
            "base",
        ));
        let engine = EngineHandle::start(weights, model.tokenizer.clone(), config.engine.clone())?;
        let adapters = Adapters::open(engine.clone(), Arc::clone(&model), &config.server)?;
        let log = TrajectoryLog::open(&runs.join(LOG_FILE))?;
        // Sessions do not outlive the process that held their groups open.
        log.release_held()?;
        let trainer = TrainerHandle::new(engine.clone(), Arc::clone(&model), log.clone(), runs);
        Ok(Self {
            model,
            engine,
            adapters,
            log,
            trainer,
        })
    }

    /// The HTTP edge over these parts.
    #[must_use]
    pub fn app(&self, config: &ServeConfig) -> Arc<App> {
        App::new(self, config)
    }
}
