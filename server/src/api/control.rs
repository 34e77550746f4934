//! Engine controls in SGLang's and vLLM's words, over one implementation: pausing is that of `pause`, requests end by
//! `running`, the cache is the engine's.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use serde::Deserialize;
use serde_json::Value;
use svs_engine::runtime::PauseMode;
use svs_openapi::ErrorResponse;
use svs_openapi::control::{AbortRequest, AbortRequests, Aborted, ContinueGeneration, Done, PauseGeneration, Success};

use super::pause::pause_until_idle;
use crate::app::App;
use crate::error::ApiError;
use crate::http::body::{decode, read_json, read_nothing};
use crate::http::query::read_query;

/// How often `/flush_cache` looks whether requests are still there.
const FLUSH_POLL: Duration = Duration::from_millis(20);

/// A body that may be empty.
pub(super) async fn optional_body<T: serde::de::DeserializeOwned + Default>(
    app: &App,
    request: Request,
) -> Result<T, ApiError> {
    match read_json(&app.config, request).await? {
        Value::Null => Ok(T::default()),
        body => decode(body, &[]),
    }
}

/// Pauses generation, as `/pause` does.
///
/// # Errors
/// A bad mode; 409 `resumed`; 503 `pause_timeout`, and the pause stands.
#[utoipa::path(
    post, path = "/pause_generation", tag = "operation",
    request_body(content = PauseGeneration, description = "May be empty."),
    responses(
        (status = 200, description = "Nothing runs; new requests queue until the pause ends.", body = Done),
        (status = 400, description = "The mode is wrong.", body = ErrorResponse),
        (status = 401, description = "The key is missing or wrong.", body = ErrorResponse),
        (status = 403, description = "The admin key is needed.", body = ErrorResponse),
        (status = 409, description = "Resumed before the pause was complete.", body = ErrorResponse),
        (status = 503, description = "Requests still run after server.pause_timeout_seconds, or the engine has stopped.", body = ErrorResponse),
    )
)]
pub async fn pause_generation(State(app): State<Arc<App>>, request: Request) -> Result<Json<Done>, ApiError> {
    let asked: PauseGeneration = optional_body(&app, request).await?;
    let (mode, clear) = match asked.mode.as_deref() {
        None | Some("abort") => (PauseMode::Abort, false),
        Some("retract") => (PauseMode::Keep, true),
        Some("in_place") => (PauseMode::Keep, false),
        Some(other) => {
            let message = format!("`{other}` is not supported; allowed are abort, retract, in_place");
            return Err(ApiError::value("mode", message));
        }
    };
    pause_until_idle(&app, mode, clear).await?;
    Ok(done("Generation paused successfully."))
}

/// Ends a pause, as `/resume` does.
///
/// # Errors
/// 409 `sleeping`; 503 `engine_stopped`.
#[utoipa::path(
    post, path = "/continue_generation", tag = "operation",
    request_body(content = ContinueGeneration, description = "May be empty."),
    responses(
        (status = 200, description = "Requests run.", body = Done),
        (status = 400, description = "The body is wrong.", body = ErrorResponse),
        (status = 401, description = "The key is missing or wrong.", body = ErrorResponse),
        (status = 403, description = "The admin key is needed.", body = ErrorResponse),
        (status = 409, description = "The server sleeps.", body = ErrorResponse),
        (status = 503, description = "The engine has stopped.", body = ErrorResponse),
    )
)]
pub async fn continue_generation(State(app): State<Arc<App>>, request: Request) -> Result<Json<Done>, ApiError> {
    let ContinueGeneration { torch_empty_cache: _ } = optional_body(&app, request).await?;
    let _awake = app.sleep.awake()?;
    app.engine.resume().await?;
    Ok(done("Generation continued successfully."))
}

fn done(message: &str) -> Json<Done> {
    Json(Done {
        message: message.into(),
        status: "ok".into(),
    })
}

/// Ends requests of clients with what they have; their finish reason is `abort`. The trainer's own go on.
/// `/inference/v1/abort_requests` is the same.
///
/// # Errors
/// A bad body.
#[utoipa::path(
    post, path = "/abort_requests", tag = "operation",
    request_body(content = AbortRequests, description = "May be empty: all requests."),
    responses(
        (status = 200, description = "How many end; ids that nobody has are none.", body = Aborted),
        (status = 400, description = "The body is wrong.", body = ErrorResponse),
        (status = 401, description = "The key is missing or wrong.", body = ErrorResponse),
        (status = 403, description = "The admin key is needed.", body = ErrorResponse),
    )
)]
pub async fn abort_requests(State(app): State<Arc<App>>, request: Request) -> Result<Json<Aborted>, ApiError> {
    let asked: AbortRequests = optional_body(&app, request).await?;
    Ok(Json(Aborted {
        status: "aborted".into(),
        aborted: app.running.abort(asked.request_ids.as_deref()),
    }))
}

/// Ends one request, or all, as `/abort_requests` does.
///
/// # Errors
/// Neither `rid` nor `abort_all`.
#[utoipa::path(
    post, path = "/abort_request", tag = "operation", request_body = AbortRequest,
    responses(
        (status = 200, description = "It ends, if it was there."),
        (status = 400, description = "The body names nothing.", body = ErrorResponse),
        (status = 401, description = "The key is missing or wrong.", body = ErrorResponse),
        (status = 403, description = "The admin key is needed.", body = ErrorResponse),
    )
)]
pub async fn abort_request(State(app): State<Arc<App>>, request: Request) -> Result<(), ApiError> {
    let asked: AbortRequest = optional_body(&app, request).await?;
    match (asked.rid.filter(|rid| !rid.is_empty()), asked.abort_all) {
        (_, Some(true)) => app.running.abort(None),
        (Some(rid), _) => app.running.abort(Some(&[rid])),
        (None, _) => {
            let message = "`rid`, or `abort_all: true`, is required";
            return Err(ApiError::invalid("rid", "missing_parameter", message));
        }
    };
    Ok(())
}

/// The query of `/reset_prefix_cache`.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ResetQuery {
    /// Drop the KV of requests that are there too, which they then compute anew. Default false.
    pub reset_running_requests: bool,
    /// Only false: there is no external cache.
    pub reset_external: bool,
}

/// Drops all KV. Not needed for new weights: reuse is keyed by weight version.
///
/// # Errors
/// A bad query; 503 `engine_stopped`.
#[utoipa::path(post, path = "/reset_prefix_cache", tag = "operation", params(ResetQuery), responses(
    (status = 200, description = "Whether it was dropped: not while requests are there, unless `reset_running_requests`.", body = Success),
    (status = 400, description = "The query is wrong.", body = ErrorResponse),
    (status = 401, description = "The key is missing or wrong.", body = ErrorResponse),
    (status = 403, description = "The admin key is needed.", body = ErrorResponse),
    (status = 503, description = "The engine has stopped.", body = ErrorResponse),
))]
pub async fn reset_prefix_cache(
    State(app): State<Arc<App>>,
    uri: Uri,
    request: Request,
) -> Result<Json<Success>, ApiError> {
    read_nothing(&app.config, request).await?;
    let query: ResetQuery = read_query(&uri)?;
    if query.reset_external {
        return Err(ApiError::value("reset_external", "there is no external cache"));
    }
    let success = app.engine.clear_kv(query.reset_running_requests).await?;
    Ok(Json(Success { success }))
}

/// The query of `/flush_cache`.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct FlushQuery {
    /// Seconds to wait until no request is there, up to `server.pause_timeout_seconds`. Default 0.
    pub timeout: f64,
}

/// Drops all KV where no request is there, as `/reset_prefix_cache` does. SGLang's clients also send GET.
///
/// # Errors
/// 400 `requests_running`; a bad query; 503 `engine_stopped`.
#[utoipa::path(post, path = "/flush_cache", tag = "operation", params(FlushQuery), responses(
    (status = 200, description = "It was dropped.", body = String, content_type = "text/plain"),
    (status = 400, description = "Requests are running or waiting, or the query is wrong.", body = ErrorResponse),
    (status = 401, description = "The key is missing or wrong.", body = ErrorResponse),
    (status = 403, description = "The admin key is needed.", body = ErrorResponse),
    (status = 503, description = "The engine has stopped.", body = ErrorResponse),
))]
pub async fn flush_cache(State(app): State<Arc<App>>, uri: Uri, headers: HeaderMap) -> Result<&'static str, ApiError> {
    from_no_page(&headers)?;
    let query: FlushQuery = read_query(&uri)?;
    let most = app.config.pause_timeout_seconds;
    if !(0.0..=most as f64).contains(&query.timeout) {
        let message = format!("allowed is 0 to {most} (server.pause_timeout_seconds)");
        return Err(ApiError::value("timeout", message));
    }
    let deadline = Instant::now() + Duration::from_secs_f64(query.timeout);
    while !app.engine.clear_kv(false).await? {
        if Instant::now() >= deadline {
            let message = "the cache was not flushed: requests are running or waiting";
            return Err(ApiError::invalid("", "requests_running", message));
        }
        tokio::time::sleep(FLUSH_POLL).await;
    }
    Ok("Cache flushed.\n")
}

/// A GET that changes something must not come from a web page: browsers say so without being asked.
fn from_no_page(headers: &HeaderMap) -> Result<(), ApiError> {
    let site = headers.get("sec-fetch-site").map(axum::http::HeaderValue::as_bytes);
    if matches!(site, None | Some(b"none" | b"same-origin")) {
        return Ok(());
    }
    let message = "requests from pages of another origin are refused";
    Err(ApiError::refused(StatusCode::FORBIDDEN, "foreign_origin", message))
}
