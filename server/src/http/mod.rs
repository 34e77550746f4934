//! Routes, and what surrounds them.

use std::sync::Arc;

use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Router, middleware};
use tower_http::catch_panic::CatchPanicLayer;

use crate::api::{adapters, chat, completions, models, operate, pause, score, train};
use crate::app::App;
use crate::error::ApiError;

pub mod body;
pub mod guard;
pub mod listen;
pub mod query;

/// All routes over shared state.
pub fn router(app: Arc<App>) -> Router {
    let guarded = Router::new()
        .route("/v1/chat/completions", post(chat::create))
        .route("/v1/completions", post(completions::create))
        .route("/v1/score", post(score::create))
        .route("/v1/models", get(models::list))
        .route("/v1/models/{*id}", get(models::retrieve))
        .route("/v1/load_lora_adapter", post(adapters::load))
        .route("/v1/unload_lora_adapter", post(adapters::unload))
        .route("/pause", post(pause::pause))
        .route("/resume", post(pause::resume))
        .route("/is_paused", get(pause::is_paused))
        .route("/v1/train/start", post(train::start))
        .route("/v1/train/pause", post(train::pause))
        .route("/v1/train/resume", post(train::resume))
        .route("/v1/train/stop", post(train::stop))
        .route("/v1/train/status", get(train::status))
        .route_layer(middleware::from_fn_with_state(Arc::clone(&app), guard::check_key))
        .route_layer(middleware::from_fn_with_state(Arc::clone(&app), guard::check_origin));
    Router::new()
        .merge(guarded)
        .route("/health", get(operate::health))
        .route("/metrics", get(operate::metrics))
        .route("/openapi.json", get(operate::openapi))
        .fallback(no_route)
        .method_not_allowed_fallback(wrong_method)
        .layer(CatchPanicLayer::custom(guard::on_panic))
        .layer(middleware::from_fn_with_state(Arc::clone(&app), guard::mark))
        .with_state(app)
}

async fn no_route(uri: axum::http::Uri) -> ApiError {
    let message = format!("there is no route {}; /openapi.json lists them", uri.path());
    ApiError::refused(StatusCode::NOT_FOUND, "route_not_found", message)
}

async fn wrong_method(method: axum::http::Method, uri: axum::http::Uri) -> ApiError {
    let message = format!("{} does not answer to {method}", uri.path());
    ApiError::refused(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", message)
}
