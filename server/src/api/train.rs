//! `POST /v1/train/start|pause|resume|stop`, `GET /v1/train/status`: control of the in-process trainer.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use serde_json::Value;
use svs_openapi::ErrorResponse;
use svs_openapi::train::{TrainStalled, TrainStartRequest, TrainStatus};
use svs_trainer::run::{Fault, FaultKind, TrainError};
use svs_trainer::{TrainConfig, TrainerHandle, run};

use crate::app::App;
use crate::error::ApiError;
use crate::http::body::{decode, read_json, read_nothing};
use crate::metrics::state_name;
use crate::problem_files::confine;

type Answer = Result<Json<TrainStatus>, ApiError>;

/// The trainer of the server.
///
/// # Errors
/// 404 `no_trainer`.
pub(super) fn trainer(app: &App) -> Result<TrainerHandle, ApiError> {
    let message = "this server only serves; it has no trainer";
    let absent = || ApiError::refused(StatusCode::NOT_FOUND, "no_trainer", message);
    app.trainer.clone().ok_or_else(absent)
}

/// The status on the wire.
pub(super) fn wire(status: run::TrainStatus) -> Json<TrainStatus> {
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

/// Runs what may touch the disk or wait, away from the threads that answer requests.
///
/// # Errors
/// Those of `action`; 404 `no_trainer`, 500 `train_failed`.
pub(super) async fn blocking<T: Send + 'static>(
    app: &App,
    action: impl FnOnce(&TrainerHandle) -> Result<T, ApiError> + Send + 'static,
) -> Result<T, ApiError> {
    let trainer = trainer(app)?;
    let task = tokio::task::spawn_blocking(move || action(&trainer));
    task.await.map_err(|error| {
        let message = format!("the trainer's control failed: {error}");
        ApiError::server(StatusCode::INTERNAL_SERVER_ERROR, "train_failed", message)
    })?
}

async fn control(
    app: &App,
    action: impl FnOnce(&TrainerHandle) -> Result<run::TrainStatus, TrainError> + Send + 'static,
) -> Answer {
    blocking(app, move |trainer| Ok(wire(action(trainer)?))).await
}

/// The server's defaults with the keys of `wanted` laid over them.
fn overlay(defaults: &TrainConfig, wanted: &Value) -> Result<TrainConfig, ApiError> {
    let nothing = serde_json::Map::new();
    let wanted = match wanted {
        Value::Null => &nothing,
        Value::Object(wanted) => wanted,
        _ => {
            let message = "`config` must be a JSON object";
            return Err(ApiError::invalid("config", "invalid_type", message));
        }
    };
    defaults.overlaid(wanted).map_err(|faults| config_error(&faults))
}

/// Names every fault in the message, the first as its parameter.
fn config_error(faults: &[Fault]) -> ApiError {
    let code = match faults.first().map(|fault| fault.kind) {
        Some(FaultKind::Unknown) => "unknown_parameter",
        Some(FaultKind::Type) => "invalid_type",
        _ => "invalid_value",
    };
    let param = faults
        .first()
        .map_or("config".into(), |fault| format!("config.{}", fault.field));
    let said: Vec<String> = faults
        .iter()
        .map(|fault| format!("`config.{}`: {}", fault.field, fault.reason))
        .collect();
    ApiError::invalid(&param, code, said.join("; "))
}

/// Refuses endpoints that the server's own configuration does not have: a request must not choose what addresses the server
/// reaches, or where it sends the keys of its environment.
fn only_declared(defaults: &TrainConfig, config: &TrainConfig) -> Result<(), ApiError> {
    if config.reward.endpoints == defaults.reward.endpoints {
        return Ok(());
    }
    let message = "endpoints are declared in the server's own configuration, `[train.reward.endpoints]`";
    Err(ApiError::invalid("config.reward.endpoints", "invalid_value", message))
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
    let mut config = overlay(&app.train_defaults, &body.config)?;
    only_declared(&app.train_defaults, &config)?;
    confine(&mut config, &app.train_defaults, app.config.problems_dir.as_deref())?;
    let ours = &app.train_defaults.reward.code;
    config.reward.code.launcher.clone_from(&ours.launcher);
    if config.reward.code != *ours {
        let message = "what programs may do here is set where the server is started, not by a request";
        return Err(ApiError::value("config.reward.code", message));
    }
    if let Some(job) = config.run_id.as_deref().and_then(|run| app.jobs.find(run)) {
        let message = format!(
            "`{}` is the run of a fine-tuning job, which is {}; use /v1/fine_tuning/jobs, or `fork_from`",
            job.id,
            job.status.name()
        );
        return Err(ApiError {
            param: Some("config.run_id".into()),
            ..ApiError::refused(StatusCode::CONFLICT, "wrong_state", message)
        });
    }
    let _awake = app.sleep.awake()?;
    let jobs = Arc::clone(&app.jobs);
    control(&app, move |trainer| {
        jobs.make_room();
        trainer.start(config, body.resume)
    })
    .await
}

/// Pauses after the current step.
///
/// # Errors
/// 400 for a parameter, 409 `wrong_state`.
#[utoipa::path(post, path = "/v1/train/pause", tag = "training", responses(
    (status = 200, description = "Where the run stands.", body = TrainStatus),
    (status = 409, description = "No run is active.", body = ErrorResponse),
))]
pub async fn pause(State(app): State<Arc<App>>, request: Request) -> Answer {
    read_nothing(&app.config, request).await?;
    control(&app, TrainerHandle::pause).await
}

/// Goes on after a pause.
///
/// # Errors
/// 400 for a parameter, 409 `wrong_state`.
#[utoipa::path(post, path = "/v1/train/resume", tag = "training", responses(
    (status = 200, description = "Where the run stands.", body = TrainStatus),
    (status = 409, description = "No run is paused.", body = ErrorResponse),
))]
pub async fn resume(State(app): State<Arc<App>>, request: Request) -> Answer {
    read_nothing(&app.config, request).await?;
    control(&app, TrainerHandle::resume).await
}

/// Stops after the current step and writes a checkpoint.
///
/// # Errors
/// 400 for a parameter, 409 `wrong_state`.
#[utoipa::path(post, path = "/v1/train/stop", tag = "training", responses(
    (status = 200, description = "Where the run stands.", body = TrainStatus),
    (status = 409, description = "No run is active.", body = ErrorResponse),
))]
pub async fn stop(State(app): State<Arc<App>>, request: Request) -> Answer {
    read_nothing(&app.config, request).await?;
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
