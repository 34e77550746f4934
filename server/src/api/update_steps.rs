//! Weights from outside trainers in vLLM's steps: `/start_weight_update` → `/update_weights` → `/finish_weight_update`.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use serde_json::Value;
use svs_engine::InFlight;
use svs_openapi::ErrorResponse;
use svs_openapi::updates::{FinishUpdate, UpdateStep, UpdateWeights};

use super::control::optional_body;
use super::updates::in_flight;
use crate::app::App;
use crate::error::ApiError;
use crate::http::body::{decode, only_objects, read_json};
use crate::labels::check_label;

/// What vLLM's clients send to have tensors taken from their GPUs.
const TRANSFER: [&str; 8] = [
    "names",
    "dtype_names",
    "dtypes",
    "shapes",
    "packed",
    "ipc_handles",
    "is_checkpoint_format",
    "trainer_rank",
];

fn step(message: &str) -> Json<UpdateStep> {
    Json(UpdateStep {
        message: message.into(),
        weight_version: None,
        version: None,
    })
}

/// Begins an update in steps; one that was begun before is forgotten.
///
/// # Errors
/// 403 `weights_dir_not_set`; 409 `wrong_state`; 429 `weights_busy`.
#[utoipa::path(post, path = "/start_weight_update", tag = "operation", responses(
    (status = 200, description = "POST /update_weights comes next.", body = UpdateStep),
    (status = 400, description = "The route takes no body.", body = ErrorResponse),
    (status = 401, description = "The key is missing or wrong.", body = ErrorResponse),
    (status = 403, description = "The admin key is needed, or the operator allows no folder.", body = ErrorResponse),
    (status = 409, description = "A training run is active.", body = ErrorResponse),
    (status = 429, description = "Other weights are being updated; see Retry-After.", body = ErrorResponse),
))]
pub async fn start(State(app): State<Arc<App>>, request: Request) -> Result<Json<UpdateStep>, ApiError> {
    let _timed = app.metrics.operation("start");
    let Nothing {} = optional_body(&app, request).await?;
    app.updates.start()?;
    Ok(step("Weight update started"))
}

/// A body that says nothing.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

/// Reads the weights of the update that was started; they answer from `/finish_weight_update` on. With `weight_dir` in place
/// of `update_info` they are read and answer at once, without an update in steps.
///
/// # Errors
/// 501 `unsupported_transfer` for NCCL and IPC; otherwise as `/update_weights_from_disk`; 409 `no_update`.
#[utoipa::path(
    post, path = "/update_weights", tag = "operation", request_body = UpdateWeights,
    responses(
        (status = 200, description = "The weights are read.", body = UpdateStep),
        (status = 400, description = "A field is wrong, the path leads nowhere, or the weights are not for this model.", body = ErrorResponse),
        (status = 401, description = "The key is missing or wrong.", body = ErrorResponse),
        (status = 403, description = "The admin key is needed, or the operator allows no folder.", body = ErrorResponse),
        (status = 409, description = "No update was started, it has its weights, a training run is active, or there is no room.", body = ErrorResponse),
        (status = 429, description = "Other weights are being updated; see Retry-After.", body = ErrorResponse),
        (status = 501, description = "Weights come from folders only, not by NCCL or IPC.", body = ErrorResponse),
    )
)]
pub async fn update(State(app): State<Arc<App>>, request: Request) -> Result<Json<UpdateStep>, ApiError> {
    let _timed = app.metrics.operation("update");
    app.updates.root()?;
    let body = read_json(&app.config, request).await?;
    refuse_transfer(&body)?;
    only_objects(&body, &["update_info"])?;
    let asked: UpdateWeights = decode(body, &[])?;
    match (asked.update_info, asked.weight_dir) {
        (Some(place), None) => {
            let load = app.updates.load(place.weight_dir).await;
            load.map_err(|error| ApiError::of_update("update_info.weight_dir", error))?;
            Ok(step("Weights updated"))
        }
        (None, Some(path)) => {
            let update = app.updates.update(path, None, InFlight::Keep, || {}).await;
            let updated = update.map_err(|error| ApiError::of_update("weight_dir", error))?;
            Ok(Json(UpdateStep {
                message: "Weights updated".into(),
                weight_version: Some(updated.label),
                version: Some(updated.version),
            }))
        }
        (Some(_), Some(_)) => Err(ApiError::value(
            "weight_dir",
            "give `update_info` or `weight_dir`, not both",
        )),
        (None, None) => {
            let message = "`update_info`, or `weight_dir`, is required";
            Err(ApiError::invalid("update_info", "missing_parameter", message))
        }
    }
}

/// Refuses transfers from GPU to GPU as such.
fn refuse_transfer(body: &Value) -> Result<(), ApiError> {
    let parts = match &body["update_info"] {
        Value::Array(parts) => parts.iter().collect(),
        one => vec![one],
    };
    let found = TRANSFER
        .into_iter()
        .find(|field| parts.iter().any(|part| !part[*field].is_null()));
    let Some(field) = found else { return Ok(()) };
    let param = format!("update_info.{field}");
    let message =
        format!("`{param}`: weights by NCCL or IPC are not supported; write a folder and give its `weight_dir`");
    Err(ApiError {
        param: Some(param),
        ..ApiError::refused(StatusCode::NOT_IMPLEMENTED, "unsupported_transfer", message)
    })
}

/// Publishes the weights of the update.
///
/// # Errors
/// As `/update_weights_from_disk`; 409 `no_update`.
#[utoipa::path(
    post, path = "/finish_weight_update", tag = "operation",
    request_body(content = FinishUpdate, description = "May be empty."),
    responses(
        (status = 200, description = "The weights answer.", body = UpdateStep),
        (status = 400, description = "A field is wrong.", body = ErrorResponse),
        (status = 401, description = "The key is missing or wrong.", body = ErrorResponse),
        (status = 403, description = "The admin key is needed, or the operator allows no folder.", body = ErrorResponse),
        (status = 409, description = "No weights were read, a training run is active, or there is no room.", body = ErrorResponse),
        (status = 429, description = "Other weights are being updated; see Retry-After.", body = ErrorResponse),
        (status = 503, description = "The engine has stopped.", body = ErrorResponse),
    )
)]
pub async fn finish(State(app): State<Arc<App>>, request: Request) -> Result<Json<UpdateStep>, ApiError> {
    let _timed = app.metrics.operation("finish");
    app.updates.root()?;
    let asked: FinishUpdate = optional_body(&app, request).await?;
    if let Some(label) = &asked.weight_version {
        check_label("weight_version", label)?;
    }
    let in_flight = in_flight(asked.in_flight.as_deref())?.unwrap_or(InFlight::Keep);
    let updated = app.updates.finish(asked.weight_version, in_flight).await?;
    Ok(Json(UpdateStep {
        message: "Weight update finished".into(),
        weight_version: Some(updated.label),
        version: Some(updated.version),
    }))
}
