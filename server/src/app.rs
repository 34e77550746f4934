//! What every request handler shares: engine, trainer, trajectory log, names, bounds, metrics.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use svs_engine::EngineHandle;
use svs_trainer::{TrainConfig, TrainerHandle, TrajectoryLog};
use tokio::sync::Semaphore;

use crate::adapters::{Adapter, Adapters};
use crate::config::{HttpConfig, ServeConfig};
use crate::error::ApiError;
use crate::files::Files;
use crate::http::bodies::Bodies;
use crate::jobs::tuned::{self, Wanted};
use crate::jobs::{Jobs, Tuned};
use crate::labels::Labels;
use crate::log_access::LogAccess;
use crate::metrics::Metrics;
use crate::otlp::Tracer;
use crate::own_folder::OwnFolder;
use crate::responses::Responses;
use crate::running::Running;
use crate::sessions::Sessions;
use crate::sleep::Sleep;
use crate::stack::Stack;
use crate::updates::Updates;

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
    /// The same log, to be read.
    pub browse: LogAccess,
    /// Bounds and names.
    pub config: HttpConfig,
    /// Defaults of training runs.
    pub train_defaults: TrainConfig,
    /// Name of the model itself.
    pub model_name: String,
    /// The model as the server was told it.
    pub model_path: String,
    /// Names of weight versions.
    pub labels: Arc<Labels>,
    /// New weights from outside trainers.
    pub updates: Arc<Updates>,
    /// What clients uploaded.
    pub files: Arc<Files>,
    /// Runs of the trainer as fine-tuning jobs.
    pub jobs: Arc<Jobs>,
    /// What they made.
    pub tuned: Arc<Tuned>,
    /// Streams of their events.
    pub event_streams: Arc<Semaphore>,
    /// Where files and jobs lie, or why nothing does.
    pub own_folder: Result<OwnFolder, String>,
    /// Room for long request bodies.
    pub bodies: Bodies,
    /// Sessions of outside agents.
    pub sessions: Arc<Sessions>,
    /// Graders that run on request.
    pub grading: Arc<Semaphore>,
    /// One evaluation on request at a time.
    pub evaluating: Arc<Semaphore>,
    /// Whether the server sleeps.
    pub sleep: Arc<Sleep>,
    /// Responses that are stored.
    pub responses: Arc<Responses>,
    /// Requests of clients under way.
    pub running: Arc<Running>,
    /// Counters and histograms.
    pub metrics: Metrics,
    /// Where spans go.
    pub tracer: Tracer,
    /// Start of the server, seconds since the epoch.
    pub started: u64,
}

impl App {
    /// The edge over the parts of `stack`.
    #[must_use]
    pub fn new(stack: &Stack, config: &ServeConfig) -> Arc<Self> {
        let model_name = stack.model.name.clone();
        let labels = Arc::<Labels>::default();
        let updates = Updates::new(
            stack.engine.clone(),
            Some(stack.trainer.clone()),
            Arc::clone(&labels),
            config.server.weights_dir.clone(),
        );
        let own_folder = OwnFolder::take(&config.runs_folder())
            .inspect_err(|reason| tracing::warn!(reason, "this server keeps no files"));
        let patience = config.server.pause_timeout_seconds;
        let sleep = Sleep::new(stack.engine.clone(), Some(stack.trainer.clone()), patience);
        let most = config.server.jobs.max_resident_models;
        let tuned = Tuned::new(stack.engine.clone(), stack.trainer.clone(), most);
        let jobs = Jobs::open(
            own_folder.as_ref(),
            (stack.trainer.clone(), Arc::clone(&tuned), Arc::clone(&sleep)),
            &config.runs_folder(),
            config.server.jobs,
            config.train.clone(),
        );
        let streams = config.server.jobs.max_event_streams.min(Semaphore::MAX_PERMITS);
        let idle = Duration::from_secs(config.server.session_idle_seconds);
        let metrics = Metrics::new(&model_name, &config.server.metrics_prefix);
        let spans = metrics.spans.clone();
        Arc::new(Self {
            engine: stack.engine.clone(),
            adapters: Arc::clone(&stack.adapters),
            trainer: Some(stack.trainer.clone()),
            log: stack.log.clone(),
            browse: LogAccess::new(stack.log.clone(), &config.server),
            config: config.server.clone(),
            train_defaults: config.train.clone(),
            model_path: config.model.clone().unwrap_or_else(|| model_name.clone()),
            labels,
            updates,
            files: Files::open(own_folder.as_ref(), config.server.files),
            jobs,
            tuned,
            event_streams: Arc::new(Semaphore::new(streams)),
            own_folder,
            bodies: Bodies::new(&config.server),
            sessions: Sessions::new(stack.log.clone(), config.server.max_sessions, idle),
            grading: Arc::new(Semaphore::new(
                config.server.max_grader_runs.min(Semaphore::MAX_PERMITS),
            )),
            evaluating: Arc::new(Semaphore::new(1)),
            sleep,
            responses: Responses::new(
                config.server.max_stored_responses,
                config.server.max_stored_response_bytes,
            ),
            running: Arc::default(),
            metrics,
            tracer: Tracer::start(&config.server, spans, || stack.trainer.subscribe()),
            started: unix_seconds(),
            model_name,
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

    /// The job's model that `name` means, whether it is in memory or not.
    ///
    /// # Errors
    /// 404 `model_not_found` for the name of a job that has not succeeded.
    pub fn describe_model(&self, name: &str) -> Result<Option<Wanted>, ApiError> {
        if !name.starts_with(tuned::PREFIX) {
            return Ok(None);
        }
        Ok(self.jobs.resolve(name)?)
    }

    /// What the name of a request means: an adapter or a job's model, or (`None`) the policy. A job's model that is not in
    /// memory is loaded, so this may block.
    ///
    /// # Errors
    /// 404 `model_not_found`, 409 `no_room`, 429 `model_loading`, 500 `model_failed`.
    pub fn find_model(&self, name: &str) -> Result<Option<Arc<Adapter>>, ApiError> {
        if let Some(adapter) = self.adapters.get(name) {
            return Ok(Some(adapter));
        }
        if let Some(wanted) = self.describe_model(name)? {
            return Ok(Some(self.tuned.get(name, &wanted)?));
        }
        let any = self.config.served_model_names.iter().any(|served| served == "*");
        if any || self.names().contains(&name) {
            Ok(None)
        } else {
            Err(ApiError::unknown_model(name))
        }
    }

    /// Checks the name of a request that needs none: absent, or one that is served.
    ///
    /// # Errors
    /// 404 `model_not_found`.
    pub fn check_model(&self, name: Option<&str>) -> Result<(), ApiError> {
        name.map_or(Ok(()), |name| self.find_model(name).map(drop))
    }

    /// The label of the weights that answer now.
    #[must_use]
    pub fn weight_label(&self) -> String {
        self.labels.of(self.engine.weights(), self.weight_version())
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
