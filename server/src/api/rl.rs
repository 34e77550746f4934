//! `POST /rl/start_session|set_reward|end_session`: outside agents, one key for each session.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use serde::de::DeserializeOwned;
use serde_json::Value;
use svs_openapi::ErrorResponse;
use svs_openapi::sessions::{RewardSet, SessionEnded, SessionStarted, SetReward, StartSession};

use super::trajectories::given;
use crate::app::App;
use crate::error::ApiError;
use crate::http::body::{decode, read_json, read_nothing};
use crate::http::guard::bearer;
use crate::sessions::unknown_key;

const MAX_NAME_CHARS: usize = 256;
const MAX_GROUP_SIZE: u32 = 1024;

async fn optional<T: DeserializeOwned + Default>(app: &App, request: Request) -> Result<T, ApiError> {
    match read_json(&app.config, request).await? {
        Value::Null => Ok(T::default()),
        body => decode(body, &[]),
    }
}

/// Begins a session: requests that carry its key belong to it, and what they sample is its trajectories.
///
/// # Errors
/// 400 naming the field, 409 `group_full`, 429 `overloaded` or `staleness_bound`.
#[utoipa::path(
    post, path = "/rl/start_session", tag = "training",
    request_body(content = StartSession, description = "May be empty."),
    responses(
        (status = 200, description = "The session and its key.", body = SessionStarted),
        (status = 400, description = "A field is wrong.", body = ErrorResponse),
        (status = 409, description = "The group has its sessions, or was declared for another number.", body = ErrorResponse),
        (status = 429, description = "Too many sessions, or the run has as many groups as it can use before they are too old.", body = ErrorResponse),
    )
)]
pub async fn start(State(app): State<Arc<App>>, request: Request) -> Result<Json<SessionStarted>, ApiError> {
    let body: StartSession = optional(&app, request).await?;
    if body.api_key.is_some() {
        return Err(ApiError::value("api_key", "must be null: the server makes the key"));
    }
    for (field, text) in [("task_id", &body.task_id), ("group", &body.group)] {
        let length = text.as_ref().map(|text| text.chars().count());
        if length.is_some_and(|length| !(1..=MAX_NAME_CHARS).contains(&length)) {
            return Err(ApiError::value(
                field,
                format!("must have 1 to {MAX_NAME_CHARS} characters"),
            ));
        }
    }
    let size = body.group_size.unwrap_or(1);
    if !(1..=MAX_GROUP_SIZE).contains(&size) {
        return Err(ApiError::value(
            "group_size",
            format!("{size} is out of range; allowed is 1 to {MAX_GROUP_SIZE}"),
        ));
    }
    if size > 1 && body.group.is_none() {
        return Err(ApiError::value(
            "group_size",
            "a group of several sessions needs a name, `group`",
        ));
    }
    check_backlog(&app, body.group.as_deref()).await?;
    let started = app.sessions.start(body.task_id, body.group, size)?;
    Ok(Json(SessionStarted {
        session_id: started.session.id.clone(),
        api_key: started.key,
        group: started.session.group.clone(),
    }))
}

/// Refuses a session whose data a run could not use any more: the groups before it take more updates than its data may be
/// old. One that fills a group which others have begun is no group more.
async fn check_backlog(app: &App, group: Option<&str>) -> Result<(), ApiError> {
    let (Some(trainer), Some(beside)) = (app.trainer.clone(), app.sessions.groups_beside(group)) else {
        return Ok(());
    };
    let backlog = tokio::task::spawn_blocking(move || trainer.client_backlog()).await;
    let Ok(Ok(Some(backlog))) = backlog else { return Ok(()) };
    let waiting = backlog.groups + beside as u64;
    if waiting < backlog.most {
        return Ok(());
    }
    let message = format!(
        "{waiting} groups wait for the run or are being made, and {} is what it trains on before they are too old \
         (trajectories.max_staleness, groups_per_step)",
        backlog.most
    );
    Err(ApiError::overloaded("staleness_bound", message))
}

/// Gives a reward to an answer of the session whose key the request carries, or to the session as a whole.
///
/// # Errors
/// 400 naming the field, 401 `invalid_api_key`, 404 `interaction_not_found`.
#[utoipa::path(
    post, path = "/rl/set_reward", tag = "training",
    request_body = SetReward,
    responses(
        (status = 200, description = "The reward is noted.", body = RewardSet),
        (status = 400, description = "A field is wrong.", body = ErrorResponse),
        (status = 401, description = "No session has this key, or it has ended.", body = ErrorResponse),
        (status = 404, description = "The session has no such interaction.", body = ErrorResponse),
    )
)]
pub async fn reward(State(app): State<Arc<App>>, request: Request) -> Result<Json<RewardSet>, ApiError> {
    let key = bearer(request.headers()).map(<[u8]>::to_vec).ok_or_else(unknown_key)?;
    let lease = app.sessions.enter(&key).ok_or_else(unknown_key)?;
    let body: SetReward = decode(read_json(&app.config, request).await?, &[])?;
    let finding = given(body.reward, body.explanation)?;
    let session = lease.session();
    let trajectories = session
        .set_reward(&app.log, body.interaction_id.as_deref(), finding)
        .await?;
    Ok(Json(RewardSet {
        session_id: session.id.clone(),
        trajectories,
    }))
}

/// Ends the session whose key the request carries. The key is worth nothing afterwards.
///
/// # Errors
/// 400 for a parameter, 401 `invalid_api_key`, 409 `session_busy`.
#[utoipa::path(post, path = "/rl/end_session", tag = "training", responses(
    (status = 200, description = "It has ended.", body = SessionEnded),
    (status = 401, description = "No session has this key, or it has ended.", body = ErrorResponse),
    (status = 409, description = "Requests of the session are under way; see Retry-After.", body = ErrorResponse),
))]
pub async fn end(State(app): State<Arc<App>>, request: Request) -> Result<Json<SessionEnded>, ApiError> {
    let key = bearer(request.headers()).map(<[u8]>::to_vec).ok_or_else(unknown_key)?;
    // Who has no session is told so before anything else; held longer, this would be a request under way.
    drop(app.sessions.enter(&key).ok_or_else(unknown_key)?);
    read_nothing(&app.config, request).await?;
    let (session, ended) = app.sessions.end(&key).await?;
    Ok(Json(SessionEnded {
        session_id: session.id.clone(),
        trajectories: ended.trajectories,
        rewarded: ended.rewarded,
        group_closed: ended.group_closed,
    }))
}
