//! Routes for those who operate the server: `/health`, `/ping`, `/health_generate`, `/metrics`, `/openapi.json`.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use svs_engine::{EngineError, GenerateRequest, SamplingParams};
use svs_openapi::ErrorResponse;
use svs_openapi::models::Health;

use crate::app::App;
use crate::error::ApiError;

/// Priority of the request that `/health_generate` makes.
const AHEAD: i32 = -1;

/// Tells whether the engine answers. `/ping`, which also takes POST, is the same.
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

/// Tells whether the engine generates: it samples a token, ahead of everything that waits.
///
/// # Errors
/// 503 `sleeping`, `paused`, `generation_timeout`, `engine_stopped`; 500 for a failed step.
#[utoipa::path(
    get, path = "/health_generate", tag = "operation",
    responses(
        (status = 200, description = "A token was sampled.", body = Health),
        (status = 401, description = "The API key is missing or wrong.", body = ErrorResponse),
        (status = 500, description = "The step failed.", body = ErrorResponse),
        (status = 503, description = "The server sleeps, generation is paused, no token came within server.health_timeout_seconds, or the engine has stopped.", body = ErrorResponse),
    )
)]
pub async fn health_generate(State(app): State<Arc<App>>) -> Result<Json<Health>, ApiError> {
    let unavailable = |code, message: String| ApiError::server(StatusCode::SERVICE_UNAVAILABLE, code, message);
    // Asleep it is paused, too.
    if app.engine.is_asleep() {
        return Err(EngineError::Asleep.into());
    }
    if app.engine.is_paused() {
        return Err(unavailable("paused", "generation is paused".into()));
    }
    let tokenizer = app.engine.tokenizer();
    let first = tokenizer.bos_id().or(tokenizer.eos_ids().first().copied());
    let generation = app.engine.submit(GenerateRequest {
        prompt: vec![first.unwrap_or(0)],
        n: 1,
        sampling: SamplingParams {
            temperature: 0.0,
            max_tokens: 1,
            ..SamplingParams::default()
        },
        priority: AHEAD,
        ..GenerateRequest::default()
    })?;
    let patience = Duration::from_secs(app.config.health_timeout_seconds);
    let Ok(completion) = tokio::time::timeout(patience, generation.collect()).await else {
        let message = format!(
            "no token within {} s (server.health_timeout_seconds)",
            patience.as_secs()
        );
        return Err(unavailable("generation_timeout", message));
    };
    if completion?.choices.iter().all(|choice| choice.tokens.is_empty()) {
        return Err(EngineError::Stopped("the request ended without a token".into()).into());
    }
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
    let trainer = app.trainer.as_ref().map(|trainer| (trainer.status(), trainer.totals()));
    let trainer = trainer.as_ref().map(|(status, totals)| (status, totals));
    let text = app.metrics.render(&app.engine.stats(), trainer);
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
