//! Routes, and what surrounds them.

use std::sync::Arc;

use axum::http::StatusCode;
use axum::routing::{delete, get, patch, post};
use axum::{Router, middleware};
use tower_http::catch_panic::CatchPanicLayer;

use crate::api::{
    adapters, chat, completions, control, describe, embeddings, files, graders, jobs, models, native, operate, pause,
    responses, rl, score, sleep, steer, token_generation, tokenize, train, trajectories, update_steps, updates,
};
use crate::app::App;
use crate::error::ApiError;
use crate::page;

pub mod bodies;
pub mod body;
pub mod form;
pub mod guard;
pub mod listen;
pub mod paging;
pub mod query;

/// All routes over shared state.
pub fn router(app: Arc<App>) -> Router {
    let serving = Router::new()
        .route("/v1/score", post(score::create))
        .route("/v1/embeddings", post(embeddings::create))
        .route("/v1/fine_tuning/alpha/graders/run", post(graders::run))
        .route("/v1/fine_tuning/alpha/graders/validate", post(graders::validate))
        .route("/tokenizer_info", get(tokenize::tokenizer_config))
        .route("/is_paused", get(pause::is_paused))
        .route("/is_sleeping", get(sleep::is_sleeping))
        .route("/load", get(describe::load))
        .route("/weight_info", get(describe::weights))
        .route("/model_info", get(describe::model))
        .route("/get_model_info", get(describe::model))
        .route("/server_info", get(describe::server))
        .route("/health_generate", get(operate::health_generate))
        .route("/v1/train/status", get(train::status))
        .route("/v1/train/metrics", get(steer::metrics))
        .route("/v1/train/config", get(steer::config))
        .route("/v1/trajectories", get(trajectories::list))
        .route("/v1/files/{id}/content", get(files::content))
        .route("/v1/fine_tuning/jobs/{id}", get(jobs::retrieve))
        .route("/v1/fine_tuning/jobs/{id}/events", get(jobs::events))
        .route("/v1/fine_tuning/jobs/{id}/checkpoints", get(jobs::checkpoints))
        .route("/v1/trajectories/export", get(trajectories::export))
        .route("/v1/trajectories/{id}", get(trajectories::retrieve))
        .route("/v1/trajectories/{id}/reward", post(trajectories::reward))
        .route_layer(middleware::from_fn_with_state(Arc::clone(&app), guard::check_key))
        .route_layer(middleware::from_fn_with_state(Arc::clone(&app), guard::check_origin));
    Router::new()
        .merge(serving)
        .merge(generation(&app))
        .merge(sessions(&app))
        .merge(stored(&app))
        .merge(administration(&app))
        .route("/health", get(operate::health))
        .route("/ping", get(operate::health).post(operate::health))
        .route("/version", get(describe::version))
        .route("/metrics", get(operate::metrics))
        .route("/openapi.json", get(operate::openapi))
        .route("/", get(page::index))
        .route("/page/{file}", get(page::file))
        .fallback(no_route)
        .method_not_allowed_fallback(wrong_method)
        .layer(CatchPanicLayer::custom(guard::on_panic))
        .layer(middleware::from_fn_with_state(Arc::clone(&app), guard::mark))
        .with_state(app)
}

/// Routes that a session of an outside agent may use with its own key.
fn generation(app: &Arc<App>) -> Router<Arc<App>> {
    Router::new()
        .route("/v1/chat/completions", post(chat::create))
        .route("/v1/completions", post(completions::create))
        .route("/v1/responses", post(responses::create))
        .route("/v1/responses/{id}", get(responses::retrieve).delete(responses::delete))
        .route("/v1/responses/{id}/cancel", post(responses::cancel))
        .route("/generate", post(native::create))
        .route("/inference/v1/generate", post(token_generation::create))
        .route("/tokenize", post(tokenize::tokenize))
        .route("/v1/tokenize", post(tokenize::tokenize))
        .route("/detokenize", post(tokenize::detokenize))
        .route("/v1/detokenize", post(tokenize::detokenize))
        .route("/v1/models", get(models::list))
        .route("/v1/models/{*id}", get(models::retrieve))
        .route_layer(middleware::from_fn_with_state(
            Arc::clone(app),
            guard::check_key_or_session,
        ))
        .route_layer(middleware::from_fn_with_state(Arc::clone(app), guard::check_origin))
}

/// Sessions: the handlers check their keys themselves, but for who may begin one.
fn sessions(app: &Arc<App>) -> Router<Arc<App>> {
    let starter = middleware::from_fn_with_state(Arc::clone(app), guard::check_starter);
    Router::new()
        .route("/rl/start_session", post(rl::start).route_layer(starter))
        .route("/rl/set_reward", post(rl::reward))
        .route("/rl/end_session", post(rl::end))
        .route_layer(middleware::from_fn_with_state(Arc::clone(app), guard::check_origin))
}

/// Files and jobs: reading asks for the API key, changing for the admin key.
fn stored(app: &Arc<App>) -> Router<Arc<App>> {
    let key = middleware::from_fn_with_state(Arc::clone(app), guard::check_key);
    let admin = middleware::from_fn_with_state(Arc::clone(app), guard::check_admin);
    let files = get(files::list).route_layer(key.clone());
    let file = get(files::retrieve).route_layer(key.clone());
    let jobs = get(jobs::list).route_layer(key);
    Router::new()
        .route("/v1/files", files.merge(post(files::create).route_layer(admin.clone())))
        .route(
            "/v1/files/{id}",
            file.merge(delete(files::delete).route_layer(admin.clone())),
        )
        .route(
            "/v1/fine_tuning/jobs",
            jobs.merge(post(jobs::create).route_layer(admin)),
        )
        .route_layer(middleware::from_fn_with_state(Arc::clone(app), guard::check_origin))
}

/// Routes that change weights, training or memory.
fn administration(app: &Arc<App>) -> Router<Arc<App>> {
    Router::new()
        .route("/v1/load_lora_adapter", post(adapters::load))
        .route("/v1/unload_lora_adapter", post(adapters::unload))
        .route("/pause", post(pause::pause))
        .route("/resume", post(pause::resume))
        .route("/pause_generation", post(control::pause_generation))
        .route("/continue_generation", post(control::continue_generation))
        .route("/sleep", post(sleep::sleep))
        .route("/wake_up", post(sleep::wake_up))
        .route("/release_memory_occupation", post(sleep::release))
        .route("/resume_memory_occupation", post(sleep::resume))
        .route("/abort_requests", post(control::abort_requests))
        .route("/inference/v1/abort_requests", post(control::abort_requests))
        .route("/abort_request", post(control::abort_request))
        .route("/reset_prefix_cache", post(control::reset_prefix_cache))
        .route("/flush_cache", get(control::flush_cache).post(control::flush_cache))
        .route("/update_weights_from_disk", post(updates::from_disk))
        .route("/start_weight_update", post(update_steps::start))
        .route("/update_weights", post(update_steps::update))
        .route("/finish_weight_update", post(update_steps::finish))
        .route("/update_weight_version", post(updates::name))
        .route("/weight_checker", post(updates::check))
        .route("/v1/fine_tuning/jobs/{id}/cancel", post(jobs::cancel))
        .route("/v1/fine_tuning/jobs/{id}/pause", post(jobs::pause))
        .route("/v1/fine_tuning/jobs/{id}/resume", post(jobs::resume))
        .route("/v1/train/start", post(train::start))
        .route("/v1/train/pause", post(train::pause))
        .route("/v1/train/resume", post(train::resume))
        .route("/v1/train/stop", post(train::stop))
        .route("/v1/train/step", post(steer::step))
        .route("/v1/train/checkpoint", post(steer::checkpoint))
        .route("/v1/train/eval", post(steer::eval))
        .route("/v1/train/rollback", post(steer::rollback))
        .route("/v1/train/config", patch(steer::configure))
        .route_layer(middleware::from_fn_with_state(Arc::clone(app), guard::check_admin))
        .route_layer(middleware::from_fn_with_state(Arc::clone(app), guard::check_origin))
}

async fn no_route(uri: axum::http::Uri) -> ApiError {
    let message = format!("there is no route {}; /openapi.json lists them", uri.path());
    ApiError::refused(StatusCode::NOT_FOUND, "route_not_found", message)
}

async fn wrong_method(method: axum::http::Method, uri: axum::http::Uri) -> ApiError {
    let message = format!("{} does not answer to {method}", uri.path());
    ApiError::refused(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", message)
}
