//! The only place that maps errors to HTTP: every failure becomes an OpenAI error object with a status.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use svs_engine::EngineError;
use svs_engine::text::TextError;
use svs_openapi::{ErrorBody, ErrorResponse};
use svs_trainer::log::LogError;
use svs_trainer::run::TrainError;

use crate::adapters::AdapterError;
use crate::files::FileError;
use crate::jobs::JobError;
use crate::jobs::tuned::TunedError;
use crate::sleep::SleepError;
use crate::updates::UpdateError;

/// Seconds after which a client that was refused for load should try again.
const RETRY_AFTER_SECONDS: u64 = 1;

/// Longest message, characters: what it repeats of a request has no bound of its own.
const MAX_MESSAGE: usize = 4096;
/// Longest `param`, characters.
const MAX_PARAM: usize = 256;

/// Longest name of a model that is repeated, characters.
const MAX_NAME: usize = 100;

/// A number as people write it: without hundreds of zeros.
#[must_use]
pub fn short(number: f64) -> String {
    match number.abs() {
        usual if usual == 0.0 || (1e-5..1e16).contains(&usual) => number.to_string(),
        _ => format!("{number:e}"),
    }
}

/// What is wrong with a folder that `field` names. An empty name has nothing to say before it.
fn of_folder(field: &str, code: &'static str, reason: &str) -> ApiError {
    ApiError::invalid(field, code, format!("`{field}`: {}", reason.trim_start_matches(": ")))
}

/// The beginning of `text`.
fn bounded(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// A refusal or failure, ready to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiError {
    /// HTTP status.
    pub status: StatusCode,
    /// OpenAI's `type`.
    pub kind: &'static str,
    /// Stable code.
    pub code: &'static str,
    /// Request field at fault.
    pub param: Option<String>,
    /// What is wrong and what is allowed.
    pub message: String,
    /// Value of the `Retry-After` header.
    pub retry_after_seconds: Option<u64>,
}

impl ApiError {
    /// A fault of the request: 400.
    pub fn invalid(param: &str, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            kind: "invalid_request_error",
            code,
            param: Some(param.to_string()).filter(|param| !param.is_empty()),
            message: message.into(),
            retry_after_seconds: None,
        }
    }

    /// A value that has the right type and is not allowed: 400 `invalid_value`.
    pub fn value(param: &str, message: impl Into<String>) -> Self {
        Self::invalid(param, "invalid_value", format!("`{param}`: {}", message.into()))
    }

    /// A fault of the request with another status than 400.
    pub fn refused(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            ..Self::invalid("", code, message)
        }
    }

    /// Too much at once: 429 with `Retry-After`.
    pub fn overloaded(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            kind: "rate_limit_error",
            ..Self::refused(StatusCode::TOO_MANY_REQUESTS, code, message).try_again()
        }
    }

    /// The same, and it passes: with `Retry-After`.
    #[must_use]
    pub fn try_again(self) -> Self {
        Self {
            retry_after_seconds: Some(RETRY_AFTER_SECONDS),
            ..self
        }
    }

    /// A fault of the server.
    pub fn server(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            kind: "server_error",
            ..Self::refused(status, code, message)
        }
    }

    /// The model is not served under this name: 404.
    pub fn unknown_model(name: &str) -> Self {
        let name = bounded(name, MAX_NAME);
        let message = format!("the model `{name}` is not served here; GET /v1/models lists the names");
        Self {
            param: Some("model".into()),
            ..Self::refused(StatusCode::NOT_FOUND, "model_not_found", message)
        }
    }

    /// An update of weights that `path`, a field of the request, led to.
    pub fn of_update(path: &str, error: UpdateError) -> Self {
        match error {
            UpdateError::Load(error) => of_folder(path, "invalid_weights", &error.to_string()),
            error => error.into(),
        }
    }

    /// The same error about another field; routes use it where their field is named differently than the engine's.
    #[must_use]
    pub fn rename_param(mut self, from: &str, to: &str) -> Self {
        if self.param.as_deref() == Some(from) {
            self.param = Some(to.to_string());
            self.message = self.message.replacen(from, to, 1);
        }
        self
    }

    /// The wire form, bounded in length.
    #[must_use]
    pub fn body(&self) -> ErrorResponse {
        ErrorResponse {
            error: ErrorBody {
                message: bounded(&self.message, MAX_MESSAGE),
                kind: self.kind.to_string(),
                param: self.param.as_deref().map(|param| bounded(param, MAX_PARAM)),
                code: Some(self.code.to_string()),
            },
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = (self.status, axum::Json(self.body())).into_response();
        if let Some(seconds) = self.retry_after_seconds {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

impl From<EngineError> for ApiError {
    fn from(error: EngineError) -> Self {
        let message = error.to_string();
        match error {
            EngineError::InvalidParameter { field, .. } => Self::invalid(field, "invalid_value", message),
            EngineError::ContextLengthExceeded { .. } => Self::invalid("prompt", "context_length_exceeded", message),
            EngineError::Overloaded { .. } | EngineError::Busy { .. } => Self::overloaded("overloaded", message),
            EngineError::GuideTrial(_) => Self::server(StatusCode::SERVICE_UNAVAILABLE, "guide_trial", message),
            EngineError::UnknownWeights(name) => Self::unknown_model(&name),
            EngineError::NoRoom(_) => Self::refused(StatusCode::CONFLICT, "no_room", message),
            EngineError::Aborted => Self::server(StatusCode::SERVICE_UNAVAILABLE, "aborted", message).try_again(),
            EngineError::Asleep => {
                let message = SleepError::Asleep.to_string();
                Self::server(StatusCode::SERVICE_UNAVAILABLE, "sleeping", message).try_again()
            }
            EngineError::Resumed => Self::refused(StatusCode::CONFLICT, "resumed", message),
            EngineError::Stopped(_) => Self::server(StatusCode::SERVICE_UNAVAILABLE, "engine_stopped", message),
            EngineError::NonFiniteLogits { .. } => {
                Self::server(StatusCode::INTERNAL_SERVER_ERROR, "non_finite_logits", message)
            }
            _ => Self::server(StatusCode::INTERNAL_SERVER_ERROR, "engine_error", message),
        }
    }
}

impl From<TextError> for ApiError {
    fn from(error: TextError) -> Self {
        let message = error.to_string();
        match error {
            TextError::Template(_) => Self::invalid("messages", "invalid_value", message),
            TextError::UnknownToken { .. } => Self::invalid("prompt", "invalid_value", message),
            TextError::Tokenizer(_) => Self::server(StatusCode::INTERNAL_SERVER_ERROR, "tokenizer_error", message),
        }
    }
}

impl From<LogError> for ApiError {
    fn from(error: LogError) -> Self {
        let message = error.to_string();
        match error {
            LogError::Full => Self::overloaded("trajectory_log_full", message),
            LogError::Unknown(_) => Self::refused(StatusCode::NOT_FOUND, "trajectory_not_found", message),
            LogError::Trained(_) => Self::refused(StatusCode::CONFLICT, "already_trained", message),
            LogError::Own(_) => Self::refused(StatusCode::CONFLICT, "own_rollout", message),
            LogError::Unreadable { .. } => {
                Self::server(StatusCode::INTERNAL_SERVER_ERROR, "trajectory_unreadable", message)
            }
            _ => {
                let message = format!("the answer was made but could not be logged: {message}");
                Self::server(StatusCode::INTERNAL_SERVER_ERROR, "trajectory_log_failed", message)
            }
        }
    }
}

impl From<TrainError> for ApiError {
    fn from(error: TrainError) -> Self {
        let message = error.to_string();
        match error {
            TrainError::Config { field, .. } => Self::invalid(&format!("config.{field}"), "invalid_value", message),
            TrainError::Faults(faults) => {
                let first = faults.first().map_or_else(String::new, |fault| fault.field.clone());
                Self::invalid(&format!("config.{first}"), "invalid_value", message)
            }
            TrainError::State(_) => Self::refused(StatusCode::CONFLICT, "wrong_state", message),
            TrainError::NoRoom(_) => Self::refused(StatusCode::CONFLICT, "no_room", message),
            TrainError::Asleep => Self::refused(StatusCode::CONFLICT, "sleeping", message),
            _ => Self::server(StatusCode::INTERNAL_SERVER_ERROR, "train_failed", message),
        }
    }
}

impl From<AdapterError> for ApiError {
    fn from(error: AdapterError) -> Self {
        let message = error.to_string();
        match error {
            AdapterError::NoFolder => Self::refused(StatusCode::FORBIDDEN, "lora_dir_not_set", message),
            AdapterError::Name(_) => Self::value("lora_name", message),
            AdapterError::Unknown(_) => Self {
                param: Some("lora_name".into()),
                ..Self::refused(StatusCode::NOT_FOUND, "adapter_not_found", message)
            },
            AdapterError::Busy => Self::overloaded("adapter_loading", message),
            AdapterError::Load(_) => of_folder("lora_path", "invalid_adapter", &message),
            AdapterError::Engine(error) => error.into(),
            AdapterError::Thread(_) => Self::server(StatusCode::INTERNAL_SERVER_ERROR, "internal_error", message),
        }
    }
}

impl From<SleepError> for ApiError {
    fn from(error: SleepError) -> Self {
        let message = error.to_string();
        match error {
            SleepError::Training(_) => Self::refused(StatusCode::CONFLICT, "wrong_state", message),
            SleepError::Asleep => Self::refused(StatusCode::CONFLICT, "sleeping", message),
            SleepError::Requests => Self::invalid("", "requests_running", message),
            SleepError::Timeout(_) => Self::server(StatusCode::SERVICE_UNAVAILABLE, "pause_timeout", message),
            SleepError::Engine(error) => error.into(),
        }
    }
}

impl From<FileError> for ApiError {
    fn from(error: FileError) -> Self {
        let message = error.to_string();
        match error {
            FileError::Unavailable(_) => Self::server(StatusCode::SERVICE_UNAVAILABLE, "files_unavailable", message),
            FileError::TooLarge(_) => Self::refused(StatusCode::PAYLOAD_TOO_LARGE, "request_too_large", message),
            FileError::Full(_) => Self::refused(StatusCode::CONFLICT, "files_full", message),
            FileError::Busy => Self::overloaded("overloaded", message),
            FileError::Unknown(_) => Self {
                param: Some("id".into()),
                ..Self::refused(StatusCode::NOT_FOUND, "file_not_found", message)
            },
            FileError::Content(_) => Self::invalid("file", "invalid_file", format!("`file`: {message}")),
            FileError::Disk(_) => Self::server(StatusCode::INTERNAL_SERVER_ERROR, "file_failed", message),
        }
    }
}

impl From<JobError> for ApiError {
    fn from(error: JobError) -> Self {
        let message = error.to_string();
        match error {
            JobError::Unavailable(_) => Self::server(StatusCode::SERVICE_UNAVAILABLE, "jobs_unavailable", message),
            JobError::Unknown(_) => Self {
                param: Some("id".into()),
                ..Self::refused(StatusCode::NOT_FOUND, "job_not_found", message)
            },
            JobError::State(_) => Self::refused(StatusCode::CONFLICT, "wrong_state", message),
            JobError::Full(_) => Self::refused(StatusCode::CONFLICT, "jobs_full", message),
            JobError::Queue(_) => Self::overloaded("overloaded", message),
            JobError::Disk(_) => Self::server(StatusCode::INTERNAL_SERVER_ERROR, "job_failed", message),
        }
    }
}

impl From<TunedError> for ApiError {
    fn from(error: TunedError) -> Self {
        let message = error.to_string();
        match error {
            TunedError::Gone(_) => Self {
                param: Some("model".into()),
                ..Self::refused(StatusCode::NOT_FOUND, "model_not_found", message)
            },
            TunedError::Busy => Self::overloaded("model_loading", message),
            TunedError::Engine(error) => error.into(),
            TunedError::Load(_) => Self::server(StatusCode::INTERNAL_SERVER_ERROR, "model_failed", message),
        }
    }
}

impl From<UpdateError> for ApiError {
    fn from(error: UpdateError) -> Self {
        let message = error.to_string();
        let conflict = |code| Self::refused(StatusCode::CONFLICT, code, message.clone());
        match error {
            UpdateError::NoFolder => Self::refused(StatusCode::FORBIDDEN, "weights_dir_not_set", message),
            UpdateError::Busy => Self::overloaded("weights_busy", message),
            UpdateError::Training(_) => conflict("wrong_state"),
            UpdateError::NotStarted | UpdateError::NotLoaded | UpdateError::Forgotten | UpdateError::Loaded => {
                conflict("no_update")
            }
            UpdateError::Load(_) => Self::invalid("", "invalid_weights", message),
            // The shape was checked before: what is left is another publish between.
            UpdateError::Engine(EngineError::IncompatibleWeights(_)) => conflict("no_room"),
            UpdateError::Engine(error) => error.into(),
            UpdateError::Thread(_) => Self::server(StatusCode::INTERNAL_SERVER_ERROR, "internal_error", message),
        }
    }
}
