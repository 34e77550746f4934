//! Routes for those who operate the server: `/health`, `/metrics`, `/openapi.json`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use svs_openapi::ErrorResponse;
use svs_openapi::models::Health;

use crate::app::App;
use crate::error::ApiError;

/// Tells whether the engine answers.
///
/// # Errors
/// 503 `engine_stopped`.
#[utoipa::path(
    get, path = "/health", tag = "operation",
    responses(
        (status = 200, description = "The engine answers.", body = Health),
        (status = 503, description = "The engine has stopped.", body = ErrorResponse),
    )
)]
pub async fn health(State(app): State<Arc<App>>) -> Result<Json<Health>, ApiError> {
    app.engine.check_running()?;
    Ok(Json(Health {
        status: "ok".into(),
        weight_version: app.weight_version(),
    }))
}

/// Metrics in Prometheus's text format.
#[utoipa::path(
    get, path = "/metrics", tag = "operation",
    responses((status = 200, description = "Prometheus text format.", body = String, content_type = "text/plain"))
)]
pub async fn metrics(State(app): State<Arc<App>>) -> Response {
    let trainer = app.trainer.as_ref().map(svs_trainer::TrainerHandle::status);
    let text = app.metrics.render(&app.engine.stats(), trainer.as_ref());
    ([(header::CONTENT_TYPE, prometheus::TEXT_FORMAT)], text).into_response()
}

/// This document.
#[utoipa::path(
    get, path = "/openapi.json", tag = "operation",
    responses((status = 200, description = "The OpenAPI document.", body = Object))
)]
pub async fn openapi() -> Response {
    (
        [(header::CONTENT_TYPE, "application/json")],
        crate::docs::openapi_json(),
    )
        .into_response()
}
