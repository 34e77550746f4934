//! `POST /v1/train/start|pause|resume|stop`, `GET /v1/train/status`: control of the in-process trainer.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use serde_json::Value;
use svs_openapi::ErrorResponse;
use svs_openapi::train::{TrainStalled, TrainStartRequest, TrainStatus};
use svs_trainer::run::TrainError;
use svs_trainer::{TrainConfig, TrainerHandle, run};

use crate::app::App;
use crate::error::ApiError;
use crate::http::body::{decode, only_objects, read_json};
use crate::metrics::snapshot::state_name;

type Answer = Result<Json<TrainStatus>, ApiError>;

fn trainer(app: &App) -> Result<TrainerHandle, ApiError> {
    let message = "this server only serves; it has no trainer";
    let absent = || ApiError::refused(StatusCode::NOT_FOUND, "no_trainer", message);
    app.trainer.clone().ok_or_else(absent)
}

fn wire(status: run::TrainStatus) -> Json<TrainStatus> {
    Json(TrainStatus {
        state: state_name(status.state).into(),
        run_id: status.run_id,
        step: status.step,
        steps: status.steps,
        phase: status.phase,
        weight_version: status.version,
        // JSON has no infinity and no NaN.
        metrics: status
            .metrics
            .into_iter()
            .filter(|(_, value)| value.is_finite())
            .collect(),
        error: status.error,
        stalled: status.stalled.map(|stalled| TrainStalled {
            phase: stalled.phase,
            since_s: stalled.since_s,
            waits_for: stalled.waits_for,
        }),
    })
}

/// Runs a control that may touch the disk, away from the threads that answer requests.
async fn control(
    app: &App,
    action: impl FnOnce(&TrainerHandle) -> Result<run::TrainStatus, TrainError> + Send + 'static,
) -> Answer {
    let trainer = trainer(app)?;
    let status = tokio::task::spawn_blocking(move || action(&trainer))
        .await
        .map_err(|error| {
            let message = format!("the trainer's control failed: {error}");
            ApiError::server(StatusCode::INTERNAL_SERVER_ERROR, "train_failed", message)
        })?;
    Ok(wire(status?))
}

/// The server's defaults with the keys of `wanted` laid over them.
fn overlay(defaults: &TrainConfig, wanted: Value) -> Result<TrainConfig, ApiError> {
    let mut config = serde_json::to_value(defaults).expect("a training configuration is plain data");
    match wanted {
        Value::Null => {}
        wanted @ Value::Object(_) => merge(&mut config, wanted, "config")?,
        _ => {
            return Err(ApiError::invalid(
                "config",
                "invalid_type",
                "`config` must be a JSON object",
            ));
        }
    }
    only_objects(&config, &["prompts"])?;
    decode(config, &[]).map_err(|mut error| {
        if let Some(param) = &mut error.param {
            error.message = error
                .message
                .replacen(&format!("`{param}`"), &format!("`config.{param}`"), 1);
            *param = format!("config.{param}");
        }
        error
    })
}

/// Lays `over`, which is at `path`, over `base`. A section is only replaced key by key.
fn merge(base: &mut Value, over: Value, path: &str) -> Result<(), ApiError> {
    match (base, over) {
        (Value::Object(base), Value::Object(over)) => {
            for (key, value) in over {
                match base.get_mut(&key) {
                    Some(slot) => merge(slot, value, &format!("{path}.{key}"))?,
                    None => {
                        base.insert(key, value);
                    }
                }
            }
        }
        (Value::Object(_), _) => {
            let message = format!("`{path}` must be a JSON object");
            return Err(ApiError::invalid(path, "invalid_type", message));
        }
        (base, over) => *base = over,
    }
    Ok(())
}

/// Starts a run, or continues one from its last checkpoint.
///
/// # Errors
/// 400 naming a bad key of `config`, 409 `wrong_state`, 500 `train_failed`.
#[utoipa::path(
    post, path = "/v1/train/start", tag = "training",
    request_body(content = TrainStartRequest, description = "May be empty."),
    responses(
        (status = 200, description = "The run has started.", body = TrainStatus),
        (status = 400, description = "A key of the configuration is wrong.", body = ErrorResponse),
        (status = 409, description = "A run is active.", body = ErrorResponse),
    )
)]
pub async fn start(State(app): State<Arc<App>>, request: Request) -> Answer {
    let body = match read_json(&app.config, request).await? {
        Value::Null => TrainStartRequest::default(),
        body => decode(body, &[])?,
    };
    let config = overlay(&app.train_defaults, body.config)?;
    control(&app, move |trainer| trainer.start(config, body.resume)).await
}

/// Pauses after the current step.
///
/// # Errors
/// 409 `wrong_state`.
#[utoipa::path(post, path = "/v1/train/pause", tag = "training", responses(
    (status = 200, description = "Where the run stands.", body = TrainStatus),
    (status = 409, description = "No run is active.", body = ErrorResponse),
))]
pub async fn pause(State(app): State<Arc<App>>) -> Answer {
    control(&app, TrainerHandle::pause).await
}

/// Goes on after a pause.
///
/// # Errors
/// 409 `wrong_state`.
#[utoipa::path(post, path = "/v1/train/resume", tag = "training", responses(
    (status = 200, description = "Where the run stands.", body = TrainStatus),
    (status = 409, description = "No run is paused.", body = ErrorResponse),
))]
pub async fn resume(State(app): State<Arc<App>>) -> Answer {
    control(&app, TrainerHandle::resume).await
}

/// Stops after the current step and writes a checkpoint.
///
/// # Errors
/// 409 `wrong_state`.
#[utoipa::path(post, path = "/v1/train/stop", tag = "training", responses(
    (status = 200, description = "Where the run stands.", body = TrainStatus),
    (status = 409, description = "No run is active.", body = ErrorResponse),
))]
pub async fn stop(State(app): State<Arc<App>>) -> Answer {
    control(&app, TrainerHandle::stop).await
}

/// Tells where the run stands.
///
/// # Errors
/// 404 `no_trainer` on a server that only serves.
#[utoipa::path(get, path = "/v1/train/status", tag = "training", responses(
    (status = 200, description = "Where the run stands.", body = TrainStatus),
))]
pub async fn status(State(app): State<Arc<App>>) -> Answer {
    Ok(wire(trainer(&app)?.status()))
}
