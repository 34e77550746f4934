//! Configuration of `svs serve`: one TOML file, every key optional, unknown keys refused.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use svs_engine::{EngineConfig, Pooling};
use svs_trainer::TrainConfig;

use crate::files::FilesConfig;
use crate::jobs::JobsConfig;
use crate::otlp::{self, OtlpConfig};
use crate::secret::Secret;

/// Everything that `svs serve` needs to know. Flags of the command line go before the file.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ServeConfig {
    /// A folder, a `.gguf` file or a hub id; the embedded policy if absent.
    pub model: Option<String>,
    /// Where trajectory log, checkpoints and published models go.
    pub runs: Option<PathBuf>,
    /// Listener, names and bounds of the HTTP edge.
    pub server: HttpConfig,
    /// Bounds of the engine.
    pub engine: EngineConfig,
    /// Defaults of runs that `POST /v1/train/start` starts.
    pub train: TrainConfig,
}

/// Listener, names and bounds of the HTTP edge.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HttpConfig {
    /// Address to listen on.
    pub host: String,
    /// Port to listen on; 0 takes a free one.
    pub port: u16,
    /// Names that requests may use; empty takes the model's own, `*` answers to any.
    pub served_model_names: Vec<String>,
    /// Folder inside of which requests may load LoRA adapters; without it they load and unload none.
    pub lora_dir: Option<PathBuf>,
    /// Folder inside of which requests may have weights read; without it they update none.
    pub weights_dir: Option<PathBuf>,
    /// Folder inside of which requests may name files of problems; without it they name none.
    pub problems_dir: Option<PathBuf>,
    /// Bearer token that routes of the API ask for, if any.
    pub api_key: Option<Secret>,
    /// Bearer token that routes ask for which change weights, training or memory; without it `api_key` is.
    pub admin_api_key: Option<Secret>,
    /// Connections held at once; further ones wait in the listener's backlog.
    pub max_connections: usize,
    /// Bytes of a request body.
    pub max_body_bytes: usize,
    /// Bytes of long request bodies held at once; further ones wait.
    pub max_bodies_bytes: usize,
    /// Prompts of one completion request.
    pub max_prompts: usize,
    /// Logprobs of prompt tokens in one answer: choices times prompt tokens times alternatives and the token's own.
    pub max_prompt_logprobs: usize,
    /// Inputs of one request for embeddings.
    pub max_embedding_inputs: usize,
    /// Tokens of all inputs of one request for embeddings.
    pub max_embedding_tokens: usize,
    /// Responses kept for retrieval and continuation; the oldest that have ended go first.
    pub max_stored_responses: usize,
    /// Bytes of the JSON of stored responses and their conversations.
    pub max_stored_response_bytes: usize,
    /// How embeddings are pooled where a request does not say.
    pub embedding_pooling: Pooling,
    /// Queries of the trajectory log that run at once; further ones wait.
    pub max_log_queries: usize,
    /// Exports of the trajectory log at once; one more gets a 429.
    pub max_exports: usize,
    /// Graders at work on request at once; one more gets a 429.
    pub max_grader_runs: usize,
    /// Sessions of outside agents at once; one more gets a 429.
    pub max_sessions: usize,
    /// Trajectories of one session; a request beyond gets a 429.
    pub max_session_trajectories: usize,
    /// Time after which a session that nobody uses ends.
    pub session_idle_seconds: u64,
    /// Whether `/rl/start_session` asks for the admin key, where there is one, or for the API key.
    pub sessions_need_admin_key: bool,
    /// Time to send a request's head, and an idle connection's life.
    pub header_timeout_seconds: u64,
    /// Time to send a request's body.
    pub body_timeout_seconds: u64,
    /// Time in which a client must take a chunk of a stream.
    pub write_timeout_seconds: u64,
    /// Time that running requests get to finish when the server stops.
    pub shutdown_grace_seconds: u64,
    /// Time for which `/pause` waits until nothing runs.
    pub pause_timeout_seconds: u64,
    /// Time in which `/health_generate` must see its token.
    pub health_timeout_seconds: u64,
    /// What goes before vLLM's names in `/metrics`.
    pub metrics_prefix: String,
    /// Address of the OpenTelemetry collector that spans are posted to, as OTLP over HTTP; without it there are none.
    pub otlp_traces_endpoint: Option<String>,
    /// How they are sent.
    pub otlp: OtlpConfig,
    /// Time that a request waits for the step of a run to end that it wants something of.
    pub train_task_timeout_seconds: u64,
    /// Bounds of uploaded files.
    pub files: FilesConfig,
    /// Bounds of fine-tuning jobs.
    pub jobs: JobsConfig,
    /// LoRA adapters to load at start: folders by name.
    pub lora: BTreeMap<String, PathBuf>,
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self {
            host: "127.0.0.1".into(),
            port: 8000,
            served_model_names: Vec::new(),
            lora_dir: None,
            lora: BTreeMap::new(),
            weights_dir: None,
            problems_dir: None,
            api_key: None,
            admin_api_key: None,
            max_connections: 1024,
            max_body_bytes: 16 << 20,
            max_bodies_bytes: 256 << 20,
            max_prompts: 256,
            max_prompt_logprobs: 1 << 20,
            max_embedding_inputs: 2048,
            max_embedding_tokens: 300_000,
            embedding_pooling: Pooling::Mean,
            max_stored_responses: 1024,
            max_stored_response_bytes: 64 << 20,
            max_log_queries: 4,
            max_exports: 2,
            max_grader_runs: 4,
            max_sessions: 1024,
            max_session_trajectories: 4096,
            session_idle_seconds: 600,
            sessions_need_admin_key: true,
            header_timeout_seconds: 60,
            body_timeout_seconds: 30,
            write_timeout_seconds: 60,
            shutdown_grace_seconds: 30,
            pause_timeout_seconds: 600,
            health_timeout_seconds: 20,
            metrics_prefix: "vllm:".into(),
            otlp_traces_endpoint: None,
            otlp: OtlpConfig::default(),
            train_task_timeout_seconds: 600,
            files: FilesConfig::default(),
            jobs: JobsConfig::default(),
        }
    }
}

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not TOML, or a key is unknown or of the wrong type.
    #[error("{path}: {reason}")]
    Parse {
        /// The file.
        path: PathBuf,
        /// What was found, with its place.
        reason: String,
    },
    /// A value is out of range.
    #[error("{field}: {reason}")]
    Value {
        /// Dotted name in the TOML.
        field: &'static str,
        /// What is allowed.
        reason: String,
    },
}

impl ServeConfig {
    /// Reads a TOML file.
    ///
    /// # Errors
    /// [`ConfigError::Read`], [`ConfigError::Parse`], [`ConfigError::Value`].
    pub fn from_file(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read {
            path: path.to_path_buf(),
            source,
        })?;
        let config: Self = toml::from_str(&text).map_err(|error| ConfigError::Parse {
            path: path.to_path_buf(),
            reason: error.to_string(),
        })?;
        config.server.validate()?;
        Ok(config)
    }

    /// The folder for trajectory log and checkpoints; `runs` if none is given.
    #[must_use]
    pub fn runs_folder(&self) -> PathBuf {
        self.runs.clone().unwrap_or_else(|| PathBuf::from("runs"))
    }
}

impl HttpConfig {
    /// Checks that every bound is usable.
    ///
    /// # Errors
    /// [`ConfigError::Value`] naming the first bad field.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let at_least_one = [
            ("server.max_connections", self.max_connections as u64),
            ("server.max_body_bytes", self.max_body_bytes as u64),
            ("server.max_prompts", self.max_prompts as u64),
            ("server.max_prompt_logprobs", self.max_prompt_logprobs as u64),
            ("server.max_embedding_inputs", self.max_embedding_inputs as u64),
            ("server.max_embedding_tokens", self.max_embedding_tokens as u64),
            ("server.max_stored_responses", self.max_stored_responses as u64),
            (
                "server.max_stored_response_bytes",
                self.max_stored_response_bytes as u64,
            ),
            ("server.max_log_queries", self.max_log_queries as u64),
            ("server.max_exports", self.max_exports as u64),
            ("server.max_grader_runs", self.max_grader_runs as u64),
            ("server.max_sessions", self.max_sessions as u64),
            ("server.max_session_trajectories", self.max_session_trajectories as u64),
            ("server.session_idle_seconds", self.session_idle_seconds),
            ("server.header_timeout_seconds", self.header_timeout_seconds),
            ("server.body_timeout_seconds", self.body_timeout_seconds),
            ("server.write_timeout_seconds", self.write_timeout_seconds),
            ("server.pause_timeout_seconds", self.pause_timeout_seconds),
            ("server.health_timeout_seconds", self.health_timeout_seconds),
            ("server.train_task_timeout_seconds", self.train_task_timeout_seconds),
        ];
        let mut at_least_one = at_least_one
            .into_iter()
            .chain(self.files.bounds())
            .chain(self.jobs.bounds())
            .chain(self.otlp.bounds());
        if let Some((field, _)) = at_least_one.find(|(_, value)| *value == 0) {
            return Err(ConfigError::Value {
                field,
                reason: "must be at least 1".into(),
            });
        }
        if self.max_bodies_bytes < self.max_body_bytes {
            return Err(ConfigError::Value {
                field: "server.max_bodies_bytes",
                reason: "must be at least server.max_body_bytes".into(),
            });
        }
        for (field, key) in [
            ("server.api_key", &self.api_key),
            ("server.admin_api_key", &self.admin_api_key),
        ] {
            if key.as_ref().is_some_and(Secret::is_empty) {
                let reason = "must not be empty".into();
                return Err(ConfigError::Value { field, reason });
            }
        }
        if self.admin_api_key.is_some() && self.admin_api_key == self.api_key {
            return Err(ConfigError::Value {
                field: "server.admin_api_key",
                reason: "must differ from server.api_key, or be absent".into(),
            });
        }
        for (field, folder) in [
            ("server.lora_dir", &self.lora_dir),
            ("server.weights_dir", &self.weights_dir),
            ("server.problems_dir", &self.problems_dir),
        ] {
            if folder.as_ref().is_some_and(|folder| !folder.is_dir()) {
                let reason = "is not a folder".into();
                return Err(ConfigError::Value { field, reason });
            }
        }
        let first = |c: char| c.is_ascii_alphabetic() || "_:".contains(c);
        let plain = self.metrics_prefix.chars().all(|c| first(c) || c.is_ascii_digit());
        if !plain || self.metrics_prefix.starts_with(|c: char| c.is_ascii_digit()) {
            return Err(ConfigError::Value {
                field: "server.metrics_prefix",
                reason: "may have letters, digits, `_` and `:`, and no digit first".into(),
            });
        }
        let endpoint = self.otlp_traces_endpoint.as_deref().map(otlp::endpoint);
        for (field, reason) in [
            ("server.otlp_traces_endpoint", endpoint.and_then(Result::err)),
            ("server.otlp.headers", self.otlp.bad_header()),
        ] {
            if let Some(reason) = reason {
                return Err(ConfigError::Value { field, reason });
            }
        }
        if self.served_model_names.iter().any(String::is_empty) {
            let field = "server.served_model_names";
            return Err(ConfigError::Value {
                field,
                reason: "a name must not be empty".into(),
            });
        }
        Ok(())
    }
}
