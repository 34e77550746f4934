//! What every request handler shares: engine, trainer, trajectory log, names, bounds, metrics.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use svs_engine::EngineHandle;
use svs_trainer::{TrainConfig, TrainerHandle, TrajectoryLog};

use crate::adapters::{Adapter, Adapters};
use crate::config::HttpConfig;
use crate::error::ApiError;
use crate::metrics::Metrics;

/// Shared state of the server.
#[derive(Debug)]
pub struct App {
    /// Generates.
    pub engine: EngineHandle,
    /// LoRA adapters beside the model.
    pub adapters: Arc<Adapters>,
    /// Trains; `None` where a server only serves.
    pub trainer: Option<TrainerHandle>,
    /// Where finished requests go.
    pub log: TrajectoryLog,
    /// Bounds and names.
    pub config: HttpConfig,
    /// Defaults of training runs.
    pub train_defaults: TrainConfig,
    /// Name of the model itself.
    pub model_name: String,
    /// Counters and histograms.
    pub metrics: Metrics,
    /// Start of the server, seconds since the epoch.
    pub started: u64,
}

impl App {
    /// Wires the parts.
    #[must_use]
    pub fn new(
        engine: EngineHandle,
        adapters: Arc<Adapters>,
        trainer: Option<TrainerHandle>,
        log: TrajectoryLog,
        config: HttpConfig,
        train_defaults: TrainConfig,
        model_name: String,
    ) -> Arc<Self> {
        let metrics = Metrics::new(&model_name);
        let started = unix_seconds();
        Arc::new(Self {
            engine,
            adapters,
            trainer,
            log,
            config,
            train_defaults,
            model_name,
            metrics,
            started,
        })
    }

    /// Names to list: those served except `*`, else the model's own.
    #[must_use]
    pub fn names(&self) -> Vec<&str> {
        let named: Vec<&str> = self
            .config
            .served_model_names
            .iter()
            .map(String::as_str)
            .filter(|name| *name != "*")
            .collect();
        if named.is_empty() {
            vec![&self.model_name]
        } else {
            named
        }
    }

    /// What the name of a request means: an adapter, or (`None`) the policy.
    ///
    /// # Errors
    /// 404 `model_not_found`.
    pub fn find_model(&self, name: &str) -> Result<Option<Arc<Adapter>>, ApiError> {
        if let Some(adapter) = self.adapters.get(name) {
            return Ok(Some(adapter));
        }
        let any = self.config.served_model_names.iter().any(|served| served == "*");
        if any || self.names().contains(&name) {
            Ok(None)
        } else {
            Err(ApiError::unknown_model(name))
        }
    }

    /// The version that new requests to the policy are answered under.
    #[must_use]
    pub fn weight_version(&self) -> u64 {
        self.engine.weights().policy().version
    }
}

/// Whole seconds since the epoch.
#[must_use]
pub fn unix_seconds() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |elapsed| elapsed.as_secs())
}
