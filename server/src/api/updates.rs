//! Weights from outside trainers in one call, SGLang's `/update_weights_from_disk`; labels and checksums of what is served.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use svs_engine::InFlight;
use svs_openapi::ErrorResponse;
use svs_openapi::updates::{
    CheckWeights, Checksums, Compared, NameWeights, UpdateFromDisk, UpdatedFromDisk, WeightsChecked, WeightsNamed,
};

use crate::app::App;
use crate::error::ApiError;
use crate::http::body::{decode, read_json};
use crate::labels::check_label;

/// Replaces the weights with those of a folder. Requests go on meanwhile.
///
/// # Errors
/// 403 `weights_dir_not_set`; 400 for a field, the path or the files; 409 `wrong_state`, `no_room`; 429 `weights_busy`.
#[utoipa::path(
    post, path = "/update_weights_from_disk", tag = "operation", request_body = UpdateFromDisk,
    responses(
        (status = 200, description = "The weights answer.", body = UpdatedFromDisk),
        (status = 400, description = "A field is wrong, the path leads nowhere, or the weights are not for this model.", body = ErrorResponse),
        (status = 401, description = "The key is missing or wrong.", body = ErrorResponse),
        (status = 403, description = "The admin key is needed, or the operator allows no folder.", body = ErrorResponse),
        (status = 409, description = "A training run is active, or there is no room for another weight set.", body = ErrorResponse),
        (status = 429, description = "Other weights are being updated; see Retry-After.", body = ErrorResponse),
        (status = 503, description = "The engine has stopped.", body = ErrorResponse),
    )
)]
pub async fn from_disk(State(app): State<Arc<App>>, request: Request) -> Result<Json<UpdatedFromDisk>, ApiError> {
    app.updates.root()?;
    let asked: UpdateFromDisk = decode(read_json(&app.config, request).await?, &[])?;
    refuse_unkept(&asked)?;
    if let Some(label) = &asked.weight_version {
        check_label("weight_version", label)?;
    }
    let in_flight = match (in_flight(asked.in_flight.as_deref())?, app.engine.is_paused()) {
        (Some(in_flight), _) => in_flight,
        (None, false) => InFlight::Drain,
        (None, true) if asked.flush_cache == Some(false) => InFlight::Keep,
        (None, true) => InFlight::Recompute,
    };
    let (running, aborts) = (Arc::clone(&app.running), asked.abort_all_requests == Some(true));
    let before = move || {
        if aborts {
            running.abort(None);
        }
    };
    let update = app
        .updates
        .update(asked.model_path, asked.weight_version, in_flight, before);
    let updated = update.await.map_err(|error| ApiError::of_update("model_path", error))?;
    // Waking up ends the pause of a sleep.
    if asked.keep_pause == Some(false) && !app.engine.is_asleep() {
        app.engine.resume().await?;
    }
    Ok(Json(UpdatedFromDisk {
        success: true,
        message: "Succeeded to update model weights.".into(),
        num_paused_requests: updated.crossed,
        weight_version: updated.label,
        version: updated.version,
    }))
}

/// Refuses values of SGLang's fields that would not be kept.
fn refuse_unkept(asked: &UpdateFromDisk) -> Result<(), ApiError> {
    match asked.load_format.as_deref() {
        None | Some("auto" | "safetensors") => {}
        Some(other) => {
            let message = format!("`{other}` is not supported; allowed are `auto` and `safetensors`");
            return Err(ApiError::value("load_format", message));
        }
    }
    if asked.is_async == Some(true) {
        return Err(ApiError::value(
            "is_async",
            "only false is supported: requests go on during an update anyway",
        ));
    }
    if asked.manifest.as_ref().is_some_and(|manifest| !manifest.is_null()) {
        return Err(ApiError::value(
            "manifest",
            "is not supported; the files tell what they hold",
        ));
    }
    Ok(())
}

pub(super) fn in_flight(asked: Option<&str>) -> Result<Option<InFlight>, ApiError> {
    match asked {
        None => Ok(None),
        Some("keep") => Ok(Some(InFlight::Keep)),
        Some("recompute") => Ok(Some(InFlight::Recompute)),
        Some("drain") => Ok(Some(InFlight::Drain)),
        Some(other) => {
            let message = format!("`{other}` is not supported; allowed are keep, recompute, drain");
            Err(ApiError::value("in_flight", message))
        }
    }
}

/// Names the weights that answer now; nothing else changes.
///
/// # Errors
/// A bad label.
#[utoipa::path(
    post, path = "/update_weight_version", tag = "operation", request_body = NameWeights,
    responses(
        (status = 200, description = "The label has changed.", body = WeightsNamed),
        (status = 400, description = "The label is wrong.", body = ErrorResponse),
        (status = 401, description = "The key is missing or wrong.", body = ErrorResponse),
        (status = 403, description = "The admin key is needed.", body = ErrorResponse),
    )
)]
pub async fn name(State(app): State<Arc<App>>, request: Request) -> Result<Json<WeightsNamed>, ApiError> {
    let asked: NameWeights = decode(read_json(&app.config, request).await?, &[])?;
    check_label("new_version", &asked.new_version)?;
    if asked.abort_all_requests == Some(true) {
        app.running.abort(None);
    }
    app.labels.give(app.weight_version(), asked.new_version.clone());
    Ok(Json(WeightsNamed {
        success: true,
        message: format!("Weight version updated to {}", asked.new_version),
        new_version: asked.new_version,
    }))
}

/// Checksums of the weights that answer now, or whether they are those given.
///
/// # Errors
/// A bad action; 429 `weights_busy`.
#[utoipa::path(
    post, path = "/weight_checker", tag = "operation", request_body = CheckWeights,
    responses(
        (status = 200, description = "What was found.", body = WeightsChecked),
        (status = 400, description = "A field is wrong.", body = ErrorResponse),
        (status = 401, description = "The key is missing or wrong.", body = ErrorResponse),
        (status = 403, description = "The admin key is needed.", body = ErrorResponse),
        (status = 429, description = "Weights are being updated; see Retry-After.", body = ErrorResponse),
    )
)]
pub async fn check(State(app): State<Arc<App>>, request: Request) -> Result<Json<WeightsChecked>, ApiError> {
    let asked: CheckWeights = decode(read_json(&app.config, request).await?, &[])?;
    match (asked.action.as_str(), asked.baseline) {
        ("checksum", None) => Ok(Json(WeightsChecked::Checksums(Checksums {
            checksums: app.updates.checksums().await?,
        }))),
        ("compare", Some(baseline)) => {
            let served = app.updates.checksums().await?;
            let differs = |(name, hash): (String, String)| (served.get(&name) != Some(&hash)).then_some(name);
            let mismatches: Vec<String> = baseline.into_iter().filter_map(differs).collect();
            Ok(Json(WeightsChecked::Compared(Compared {
                matches: mismatches.is_empty(),
                mismatches,
            })))
        }
        ("checksum", Some(_)) => Err(ApiError::value("baseline", "is for the action `compare`")),
        ("compare", None) => Err(ApiError::invalid(
            "baseline",
            "missing_parameter",
            "`baseline` is required",
        )),
        (other, _) => {
            let message = format!("`{other}` is not supported; allowed are `checksum` and `compare`");
            Err(ApiError::value("action", message))
        }
    }
}
