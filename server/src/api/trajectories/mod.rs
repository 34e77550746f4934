//! `GET /v1/trajectories`, `GET /v1/trajectories/{id}`, `POST /v1/trajectories/{id}/reward`, `GET /v1/trajectories/export`.

mod export;
mod view;

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::{StatusCode, Uri};
use svs_openapi::ErrorResponse;
use svs_openapi::trajectories::{RewardRequest, Rewarded, Trajectory, TrajectoryList, TrajectoryQuery};
use svs_trainer::log::{Filter, LogError, Order};
use svs_trainer::trajectory::GraderVerdict;
use svs_verifier::Verdict;

use crate::app::App;
use crate::error::{ApiError, short};
use crate::http::body::{decode, read_json};
use crate::http::guard::is_admin;
use crate::http::query::read_query;

pub use export::{__path_export, export};

const DEFAULT_LIMIT: usize = 20;
const MAX_LIMIT: usize = 100;
/// Longest id that is looked for.
const MAX_ID_BYTES: usize = 1024;
/// Largest reward, either way.
const MAX_REWARD: f64 = 1e6;
const MAX_EXPLANATION_CHARS: usize = 2000;
/// Name of rewards that come over HTTP, where graders have theirs.
pub const CLIENT_GRADER: &str = "client";

/// Lists trajectories, newest first.
///
/// # Errors
/// 400 naming the parameter.
#[utoipa::path(get, path = "/v1/trajectories", tag = "training", params(TrajectoryQuery), responses(
    (status = 200, description = "A page of trajectories.", body = TrajectoryList),
    (status = 400, description = "A parameter is wrong.", body = ErrorResponse),
    (status = 401, description = "The API key is missing or wrong.", body = ErrorResponse),
))]
pub async fn list(State(app): State<Arc<App>>, uri: Uri) -> Result<Json<TrajectoryList>, ApiError> {
    let query: TrajectoryQuery = read_query(&uri)?;
    let limit = query.limit.unwrap_or(DEFAULT_LIMIT);
    if !(1..=MAX_LIMIT).contains(&limit) {
        return Err(ApiError::value(
            "limit",
            format!("{limit} is out of range; allowed is 1 to {MAX_LIMIT}"),
        ));
    }
    let order = match query.order.as_deref() {
        None | Some("desc") => Order::Newest,
        Some("asc") => Order::Oldest,
        Some(other) => {
            return Err(ApiError::value(
                "order",
                format!("`{other}` is neither `asc` nor `desc`"),
            ));
        }
    };
    let after = query.after.clone();
    let filter = filter(query)?;
    let tokenizer = app.engine.tokenizer().clone();
    let list = app.browse.read(move |log| {
        let seq = match &after {
            Some(id) => Some(log.find(id)?.ok_or_else(|| LogError::Unknown(id.clone()))?),
            None => None,
        };
        let page = log.list(&filter, seq, order, limit)?;
        let data: Vec<_> = page.rows.iter().map(|row| view::summary(&tokenizer, row)).collect();
        Ok(TrajectoryList {
            object: "list".into(),
            first_id: data.first().map(|row| row.id.clone()),
            last_id: data.last().map(|row| row.id.clone()),
            data,
            has_more: page.has_more,
            unreadable: page.unreadable,
        })
    });
    let list = list.await.map_err(|error| match error.code {
        "trajectory_not_found" => ApiError::value("after", error.message),
        _ => error,
    })?;
    Ok(Json(list))
}

/// All of a trajectory. Ids are percent-encoded in the path where they have slashes.
///
/// # Errors
/// 404 `trajectory_not_found`, 500 `trajectory_unreadable`.
#[utoipa::path(
    get, path = "/v1/trajectories/{id}", tag = "training",
    params(("id" = String, Path, description = "An id from /v1/trajectories, percent-encoded.")),
    responses(
        (status = 200, description = "The trajectory.", body = Trajectory),
        (status = 401, description = "The API key is missing or wrong.", body = ErrorResponse),
        (status = 404, description = "There is no such trajectory.", body = ErrorResponse),
        (status = 500, description = "Its row cannot be read.", body = ErrorResponse),
    )
)]
pub async fn retrieve(
    State(app): State<Arc<App>>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<Trajectory>, ApiError> {
    let id = known_form(id)?;
    let tokenizer = app.engine.tokenizer().clone();
    let found = app.browse.read(move |log| {
        let row = log.get(&id)?.ok_or(LogError::Unknown(id))?;
        let origin = view::origin(log, &tokenizer, &row.trajectory)?;
        Ok(Trajectory {
            origin,
            ..view::whole(&tokenizer, &row)
        })
    });
    Ok(Json(found.await?))
}

/// Gives a client's trajectory its reward, or another one than before.
///
/// # Errors
/// 400 naming the field, 403 `admin_key_needed`, 404 `trajectory_not_found`, 409 `already_trained` or `own_rollout`.
#[utoipa::path(
    post, path = "/v1/trajectories/{id}/reward", tag = "training",
    params(("id" = String, Path, description = "An id from /v1/trajectories, percent-encoded.")),
    request_body = RewardRequest,
    responses(
        (status = 200, description = "The reward is noted.", body = Rewarded),
        (status = 400, description = "A field is wrong.", body = ErrorResponse),
        (status = 401, description = "The API key is missing or wrong.", body = ErrorResponse),
        (status = 403, description = "It is of a session, whose key or the admin key is needed.", body = ErrorResponse),
        (status = 404, description = "There is no such trajectory.", body = ErrorResponse),
        (status = 409, description = "It was trained on already, or a run sampled it and grades it itself.", body = ErrorResponse),
    )
)]
pub async fn reward(
    State(app): State<Arc<App>>,
    id: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Json<Rewarded>, ApiError> {
    let id = known_form(id)?;
    let whose = (app.config.sessions_need_admin_key && !is_admin(&app, request.headers())).then(|| id.clone());
    let body: RewardRequest = decode(read_json(&app.config, request).await?, &[])?;
    let finding = given(body.reward, body.explanation)?;
    if let Some(id) = whose {
        let row = app.browse.read(move |log| log.get(&id)).await?;
        if row.is_some_and(|row| row.trajectory.session.is_some()) {
            let message =
                "the trajectory is of a session: POST /rl/set_reward with the session's key, or use the admin key";
            return Err(ApiError::refused(StatusCode::FORBIDDEN, "admin_key_needed", message));
        }
    }
    app.log.set_rewards(vec![(id.clone(), finding)]).await?;
    Ok(Json(Rewarded {
        id,
        object: "trajectory.reward".into(),
        reward: body.reward,
    }))
}

/// What a reward that somebody gave is in the log. A run judges it by its own threshold when it trains on it.
///
/// # Errors
/// 400 naming the field.
pub fn given(reward: f64, explanation: Option<String>) -> Result<GraderVerdict, ApiError> {
    if reward.abs() > MAX_REWARD || reward.is_nan() {
        let message = format!(
            "{} is out of range; allowed is -{MAX_REWARD} to {MAX_REWARD}",
            short(reward)
        );
        return Err(ApiError::value("reward", message));
    }
    let length = explanation.as_ref().map_or(0, |text| text.chars().count());
    if length > MAX_EXPLANATION_CHARS {
        let message = format!("has {length} characters; allowed are at most {MAX_EXPLANATION_CHARS}");
        return Err(ApiError::value("explanation", message));
    }
    Ok(GraderVerdict {
        grader: CLIENT_GRADER.into(),
        verdict: if reward >= 1.0 {
            Verdict::Correct
        } else {
            Verdict::Wrong
        },
        reward: Some(reward),
        explanation,
    })
}

fn known_form(id: Result<Path<String>, PathRejection>) -> Result<String, ApiError> {
    let Path(id) = id.map_err(|error| ApiError::value("id", error.body_text()))?;
    if id.len() > MAX_ID_BYTES {
        return Err(LogError::Unknown(format!("{}…", id.chars().take(64).collect::<String>())).into());
    }
    Ok(id)
}

/// What the parameters of a listing let through.
fn filter(query: TrajectoryQuery) -> Result<Filter, ApiError> {
    let kinds = match query.kind.as_deref() {
        None => Vec::new(),
        Some(name) => {
            let known = view::KINDS.into_iter().find(|(known, _)| *known == name);
            let allowed = view::KINDS.map(|(known, _)| known).join(", ");
            let refused = || ApiError::value("kind", format!("`{name}` is not a kind; allowed are {allowed}"));
            known.ok_or_else(refused)?.1.to_vec()
        }
    };
    let numbers = [
        ("min_reward", query.min_reward),
        ("max_reward", query.max_reward),
        ("created_after", query.created_after),
        ("created_before", query.created_before),
    ];
    if let Some((name, _)) = numbers.iter().find(|(_, number)| number.is_some_and(f64::is_nan)) {
        return Err(ApiError::value(name, "must be a number"));
    }
    Ok(Filter {
        kinds,
        run: query.run,
        session: query.session,
        group: query.group,
        min_version: query.min_weight_version,
        max_version: query.max_weight_version,
        min_reward: query.min_reward,
        max_reward: query.max_reward,
        created_after: query.created_after,
        created_before: query.created_before,
    })
}
