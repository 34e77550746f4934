//! `POST /pause?mode=abort|wait|keep&clear_cache=`, `POST /resume`, `GET /is_paused`, as vLLM names them.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::{StatusCode, Uri};
use serde::Deserialize;
use svs_engine::runtime::PauseMode;
use svs_openapi::ErrorResponse;
use svs_openapi::control::{IsPaused, PauseStatus};

use crate::app::App;
use crate::error::ApiError;
use crate::http::body::read_nothing;
use crate::http::query::{NoQuery, read_query};

/// The query of `/pause`.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PauseQuery {
    /// `abort` (default): requests end with what they have. `wait`: those that have started finish. `keep`: they stop
    /// and go on with the same tokens. New requests queue.
    pub mode: String,
    /// Drop all KV once nothing runs; what goes on later is computed anew. Not needed for new weights: reuse is keyed by
    /// weight version. Default false.
    pub clear_cache: bool,
}

impl Default for PauseQuery {
    fn default() -> Self {
        Self {
            mode: PauseMode::Abort.name().into(),
            clear_cache: false,
        }
    }
}

/// Pauses generation and answers when nothing runs any more.
///
/// # Errors
/// A bad query; 409 `resumed`; 503 `pause_timeout`, and the pause stands.
#[utoipa::path(post, path = "/pause", tag = "operation", params(PauseQuery), responses(
    (status = 200, description = "Nothing runs; new requests queue until /resume.", body = PauseStatus),
    (status = 400, description = "The query is wrong.", body = ErrorResponse),
    (status = 401, description = "The API key is missing or wrong.", body = ErrorResponse),
    (status = 409, description = "Resumed before the pause was complete.", body = ErrorResponse),
    (status = 503, description = "Requests still run after server.pause_timeout_seconds, or the engine has stopped.", body = ErrorResponse),
))]
pub async fn pause(State(app): State<Arc<App>>, uri: Uri, request: Request) -> Result<Json<PauseStatus>, ApiError> {
    read_nothing(&app.config, request).await?;
    let query: PauseQuery = read_query(&uri)?;
    let mode = PauseMode::ALL.into_iter().find(|mode| mode.name() == query.mode);
    let mode = mode.ok_or_else(|| {
        let message = format!("`{}` is not supported; allowed are abort, wait, keep", query.mode);
        ApiError::value("mode", message)
    })?;
    pause_until_idle(&app, mode, query.clear_cache).await?;
    Ok(status("paused"))
}

/// Pauses and waits until nothing runs, at most `server.pause_timeout_seconds`.
pub(super) async fn pause_until_idle(app: &App, mode: PauseMode, clear_cache: bool) -> Result<(), ApiError> {
    drop(app.sleep.awake()?);
    let patience = Duration::from_secs(app.config.pause_timeout_seconds);
    match tokio::time::timeout(patience, app.engine.pause(mode, clear_cache)).await {
        Ok(outcome) => Ok(outcome?),
        Err(_) => {
            let message = format!(
                "requests still run after {} s (server.pause_timeout_seconds); no new ones start until /resume",
                patience.as_secs()
            );
            let status = StatusCode::SERVICE_UNAVAILABLE;
            Err(ApiError::server(status, "pause_timeout", message))
        }
    }
}

/// Goes on after a pause; without one nothing happens.
///
/// # Errors
/// A query; 409 `sleeping`; 503 `engine_stopped`.
#[utoipa::path(post, path = "/resume", tag = "operation", responses(
    (status = 200, description = "Requests run.", body = PauseStatus),
    (status = 400, description = "The route takes no query.", body = ErrorResponse),
    (status = 401, description = "The API key is missing or wrong.", body = ErrorResponse),
    (status = 409, description = "The server sleeps.", body = ErrorResponse),
    (status = 503, description = "The engine has stopped.", body = ErrorResponse),
))]
pub async fn resume(State(app): State<Arc<App>>, uri: Uri, request: Request) -> Result<Json<PauseStatus>, ApiError> {
    read_nothing(&app.config, request).await?;
    let NoQuery {} = read_query(&uri)?;
    let _awake = app.sleep.awake()?;
    app.engine.resume().await?;
    Ok(status("resumed"))
}

/// Tells whether generation is paused, or pausing.
#[utoipa::path(get, path = "/is_paused", tag = "operation", responses(
    (status = 200, description = "Whether a pause is in force.", body = IsPaused),
    (status = 401, description = "The API key is missing or wrong.", body = ErrorResponse),
))]
pub async fn is_paused(State(app): State<Arc<App>>) -> Json<IsPaused> {
    Json(IsPaused {
        is_paused: app.engine.is_paused(),
    })
}

fn status(status: &str) -> Json<PauseStatus> {
    Json(PauseStatus { status: status.into() })
}
