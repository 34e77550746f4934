//! `POST /sleep`, `/wake_up`, `GET /is_sleeping` (vLLM); `POST /release_memory_occupation`,
//! `/resume_memory_occupation` (SGLang).

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::Uri;
use serde::Deserialize;
use svs_engine::runtime::PauseMode;
use svs_openapi::ErrorResponse;
use svs_openapi::control::{Awake, IsSleeping, MemoryTags, Sleeping};

use super::control::optional_body;
use crate::app::App;
use crate::error::ApiError;
use crate::http::body::read_nothing;
use crate::http::query::{NoQuery, read_query};

/// What can be released.
const KV_CACHE: &str = "kv_cache";
/// What never is, so that it is awake whenever somebody asks for it.
const WEIGHTS: &str = "weights";

/// The query of `/sleep`.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct SleepQuery {
    /// Only 1 (default): the KV cache is dropped, weights stay.
    pub level: u32,
    /// What becomes of requests that are there, as on `/pause`: `abort` (default), `wait`, `keep`.
    pub mode: String,
}

impl Default for SleepQuery {
    fn default() -> Self {
        Self {
            level: 1,
            mode: PauseMode::Abort.name().into(),
        }
    }
}

/// The query of `/wake_up`.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct WakeQuery {
    /// What to take back: `kv_cache`, or `weights`, which are there anyway; may be given several times. Default: everything.
    pub tags: Vec<String>,
}

/// Pauses generation and gives the memory of the KV cache back until `/wake_up`.
///
/// # Errors
/// A bad query; 409 `wrong_state` during a run, `resumed`; 503 `pause_timeout`, and it stays awake.
#[utoipa::path(post, path = "/sleep", tag = "operation", params(SleepQuery), responses(
    (status = 200, description = "The memory is released; new requests are answered 503.", body = Sleeping),
    (status = 400, description = "The query is wrong.", body = ErrorResponse),
    (status = 401, description = "The key is missing or wrong.", body = ErrorResponse),
    (status = 403, description = "The admin key is needed.", body = ErrorResponse),
    (status = 409, description = "A training run is active, or the pause was ended.", body = ErrorResponse),
    (status = 503, description = "Requests still run after server.pause_timeout_seconds, or the engine has stopped.", body = ErrorResponse),
))]
pub async fn sleep(State(app): State<Arc<App>>, uri: Uri, request: Request) -> Result<Json<Sleeping>, ApiError> {
    read_nothing(&app.config, request).await?;
    let query: SleepQuery = read_query(&uri)?;
    let mode = PauseMode::ALL.into_iter().find(|mode| mode.name() == query.mode);
    let mode = mode.ok_or_else(|| {
        let message = format!("`{}` is not supported; allowed are abort, wait, keep", query.mode);
        ApiError::value("mode", message)
    })?;
    if query.level != 1 {
        let message = format!(
            "{} is not supported; allowed is 1, which drops the KV cache: weights stay where trainer and adapters need \
             them (/pause only pauses)",
            query.level
        );
        return Err(ApiError::value("level", message));
    }
    app.sleep.begin(Some(mode)).await?;
    Ok(Json(Sleeping {
        status: "sleeping".into(),
        level: 1,
    }))
}

/// Takes the memory again; what was kept goes on, unless the server was paused before it slept. For the tag `weights`
/// alone nothing is to be done.
///
/// # Errors
/// A bad query; 409 `no_room`, and it sleeps on; 503 `engine_stopped`.
#[utoipa::path(post, path = "/wake_up", tag = "operation", params(WakeQuery), responses(
    (status = 200, description = "What `tags` names is awake; requests run, unless it names weights alone.", body = Awake),
    (status = 400, description = "The query is wrong.", body = ErrorResponse),
    (status = 401, description = "The key is missing or wrong.", body = ErrorResponse),
    (status = 403, description = "The admin key is needed.", body = ErrorResponse),
    (status = 409, description = "The memory is taken.", body = ErrorResponse),
    (status = 503, description = "The engine has stopped.", body = ErrorResponse),
))]
pub async fn wake_up(State(app): State<Arc<App>>, uri: Uri, request: Request) -> Result<Json<Awake>, ApiError> {
    read_nothing(&app.config, request).await?;
    let query: WakeQuery = read_query(&uri)?;
    let tags = take_back(&app, &query.tags).await?;
    Ok(Json(Awake {
        status: "awake".into(),
        tags: tags.into_iter().map(str::to_owned).collect(),
    }))
}

/// Tells whether the server sleeps, or is falling asleep.
#[utoipa::path(get, path = "/is_sleeping", tag = "operation", responses(
    (status = 200, description = "Whether it sleeps.", body = IsSleeping),
    (status = 400, description = "The route takes no query.", body = ErrorResponse),
    (status = 401, description = "The key is missing or wrong.", body = ErrorResponse),
))]
pub async fn is_sleeping(State(app): State<Arc<App>>, uri: Uri) -> Result<Json<IsSleeping>, ApiError> {
    let NoQuery {} = read_query(&uri)?;
    Ok(Json(IsSleeping {
        is_sleeping: app.engine.is_asleep(),
    }))
}

/// As `/sleep`, where no request is there.
///
/// # Errors
/// 400 `requests_running`, or `tags` that name weights; 409 `wrong_state` during a run.
#[utoipa::path(post, path = "/release_memory_occupation", tag = "operation", request_body = MemoryTags, responses(
    (status = 200, description = "The memory is released; new requests are answered 503."),
    (status = 400, description = "Requests are there, or the tags are wrong.", body = ErrorResponse),
    (status = 401, description = "The key is missing or wrong.", body = ErrorResponse),
    (status = 403, description = "The admin key is needed.", body = ErrorResponse),
    (status = 409, description = "A training run is active.", body = ErrorResponse),
    (status = 503, description = "The engine has stopped.", body = ErrorResponse),
))]
pub async fn release(State(app): State<Arc<App>>, request: Request) -> Result<(), ApiError> {
    let asked: MemoryTags = optional_body(&app, request).await?;
    // As at SGLang, an empty list means everything.
    let Some(tags) = asked.tags.filter(|tags| !tags.is_empty()) else {
        let message =
            "`tags` is required: without tags weights would be released too, and they stay; send [\"kv_cache\"]";
        return Err(ApiError::invalid("tags", "missing_parameter", message));
    };
    check_tags(&tags, &[KV_CACHE], ": weights stay in memory")?;
    Ok(app.sleep.begin(None).await?)
}

/// As `/wake_up`.
///
/// # Errors
/// Those of `/wake_up`.
#[utoipa::path(post, path = "/resume_memory_occupation", tag = "operation",
    request_body(content = MemoryTags, description = "May be empty."), responses(
    (status = 200, description = "What `tags` names is awake; requests run, unless it names weights alone."),
    (status = 400, description = "The tags are wrong.", body = ErrorResponse),
    (status = 401, description = "The key is missing or wrong.", body = ErrorResponse),
    (status = 403, description = "The admin key is needed.", body = ErrorResponse),
    (status = 409, description = "The memory is taken.", body = ErrorResponse),
    (status = 503, description = "The engine has stopped.", body = ErrorResponse),
))]
pub async fn resume(State(app): State<Arc<App>>, request: Request) -> Result<(), ApiError> {
    let asked: MemoryTags = optional_body(&app, request).await?;
    take_back(&app, asked.tags.as_deref().unwrap_or_default())
        .await
        .map(drop)
}

/// Wakes up, if `tags` names something that sleeps or nothing at all; returns what is awake of what was asked for.
async fn take_back(app: &App, tags: &[String]) -> Result<Vec<&'static str>, ApiError> {
    check_tags(tags, &[WEIGHTS, KV_CACHE], "")?;
    let named = |tag: &&str| tags.iter().any(|given| given == tag);
    // Weights alone: the memory is still somebody else's.
    if tags.is_empty() || named(&KV_CACHE) {
        app.sleep.end().await?;
    }
    Ok(match tags {
        [] => vec![KV_CACHE],
        _ => [WEIGHTS, KV_CACHE].into_iter().filter(named).collect(),
    })
}

fn check_tags(tags: &[String], allowed: &[&str], because: &str) -> Result<(), ApiError> {
    let Some(other) = tags.iter().find(|tag| !allowed.contains(&tag.as_str())) else {
        return Ok(());
    };
    let message = format!("`{other}` is not supported; allowed is {}{because}", allowed.join(", "));
    Err(ApiError::value("tags", message))
}
