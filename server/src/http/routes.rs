//! Every route: what opens it, its path, what answers.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::routing::{MethodRouter, get, post};

use super::access::Access;
use crate::api::{
    adapters, chat, completions, control, describe, embeddings, files, graders, jobs, models, native, operate, pause,
    problems, responses, rl, score, sleep, steer, token_generation, tokenize, train, trajectories, update_steps,
    updates,
};
use crate::app::App;
use crate::page;

type Row = (Access, &'static str, MethodRouter<Arc<App>>);

/// Every route.
pub(super) fn routes() -> impl Iterator<Item = Row> {
    operation()
        .into_iter()
        .chain(generation())
        .chain(training())
        .chain(engine())
}

/// What opens each path, as the OpenAPI document writes it.
#[must_use]
pub fn accesses() -> BTreeMap<String, Access> {
    routes()
        .map(|(access, path, _)| (path.replace("{*", "{"), access))
        .collect()
}

/// What is served, and how it is doing.
fn operation() -> Vec<Row> {
    use Access::{Key, Open};
    vec![
        (Open, "/health", get(operate::health)),
        (Open, "/ping", get(operate::health).post(operate::health)),
        (Open, "/version", get(describe::version)),
        (Open, "/metrics", get(operate::metrics)),
        (Open, "/openapi.json", get(operate::openapi)),
        (Open, "/", get(page::index)),
        (Open, "/page/{file}", get(page::file)),
        (Key, "/tokenizer_info", get(tokenize::tokenizer_config)),
        (Key, "/is_paused", get(pause::is_paused)),
        (Key, "/is_sleeping", get(sleep::is_sleeping)),
        (Key, "/load", get(describe::load)),
        (Key, "/weight_info", get(describe::weights)),
        (Key, "/model_info", get(describe::model)),
        (Key, "/get_model_info", get(describe::model)),
        (Key, "/server_info", get(describe::server)),
        (Key, "/health_generate", get(operate::health_generate)),
    ]
}

/// Generation; most of it a session of an outside agent may use with its own key.
fn generation() -> Vec<Row> {
    use Access::{Key, KeyOrSession};
    let response = get(responses::retrieve).delete(responses::delete);
    vec![
        (KeyOrSession, "/v1/chat/completions", post(chat::create)),
        (KeyOrSession, "/v1/completions", post(completions::create)),
        (KeyOrSession, "/v1/responses", post(responses::create)),
        (KeyOrSession, "/v1/responses/{id}", response),
        (KeyOrSession, "/v1/responses/{id}/cancel", post(responses::cancel)),
        (KeyOrSession, "/generate", post(native::create)),
        (KeyOrSession, "/inference/v1/generate", post(token_generation::create)),
        (KeyOrSession, "/tokenize", post(tokenize::tokenize)),
        (KeyOrSession, "/v1/tokenize", post(tokenize::tokenize)),
        (KeyOrSession, "/detokenize", post(tokenize::detokenize)),
        (KeyOrSession, "/v1/detokenize", post(tokenize::detokenize)),
        (KeyOrSession, "/v1/models", get(models::list)),
        (KeyOrSession, "/v1/models/{*id}", get(models::retrieve)),
        (Key, "/v1/score", post(score::create)),
        (Key, "/v1/embeddings", post(embeddings::create)),
    ]
}

/// The trainer, what it learns from and what judges it.
fn training() -> Vec<Row> {
    use Access::{Admin, Key, Session, Starter, Stored};
    vec![
        (Key, "/v1/fine_tuning/alpha/graders/run", post(graders::run)),
        (Key, "/v1/fine_tuning/alpha/graders/validate", post(graders::validate)),
        (Key, "/v1/train/status", get(train::status)),
        (Key, "/v1/train/metrics", get(steer::metrics)),
        (Key, "/v1/train/problems", get(problems::list)),
        (Stored, "/v1/train/config", get(steer::config).patch(steer::configure)),
        (Admin, "/v1/train/start", post(train::start)),
        (Admin, "/v1/train/pause", post(train::pause)),
        (Admin, "/v1/train/resume", post(train::resume)),
        (Admin, "/v1/train/stop", post(train::stop)),
        (Admin, "/v1/train/step", post(steer::step)),
        (Admin, "/v1/train/checkpoint", post(steer::checkpoint)),
        (Admin, "/v1/train/eval", post(steer::eval)),
        (Admin, "/v1/train/rollback", post(steer::rollback)),
        (Key, "/v1/trajectories", get(trajectories::list)),
        (Key, "/v1/trajectories/export", get(trajectories::export)),
        (Key, "/v1/trajectories/{id}", get(trajectories::retrieve)),
        (Key, "/v1/trajectories/{id}/reward", post(trajectories::reward)),
        (Starter, "/rl/start_session", post(rl::start)),
        (Session, "/rl/set_reward", post(rl::reward)),
        (Session, "/rl/end_session", post(rl::end)),
        (Stored, "/v1/files", get(files::list).post(files::create)),
        (Stored, "/v1/files/{id}", get(files::retrieve).delete(files::delete)),
        (Key, "/v1/files/{id}/content", get(files::content)),
        (Stored, "/v1/fine_tuning/jobs", get(jobs::list).post(jobs::create)),
        (Key, "/v1/fine_tuning/jobs/{id}", get(jobs::retrieve)),
        (Key, "/v1/fine_tuning/jobs/{id}/events", get(jobs::events)),
        (Key, "/v1/fine_tuning/jobs/{id}/checkpoints", get(jobs::checkpoints)),
        (Admin, "/v1/fine_tuning/jobs/{id}/cancel", post(jobs::cancel)),
        (Admin, "/v1/fine_tuning/jobs/{id}/pause", post(jobs::pause)),
        (Admin, "/v1/fine_tuning/jobs/{id}/resume", post(jobs::resume)),
    ]
}

/// Routes that change weights, memory or what runs.
fn engine() -> Vec<Row> {
    let flush = get(control::flush_cache).post(control::flush_cache);
    let rows = [
        ("/v1/load_lora_adapter", post(adapters::load)),
        ("/v1/unload_lora_adapter", post(adapters::unload)),
        ("/pause", post(pause::pause)),
        ("/resume", post(pause::resume)),
        ("/pause_generation", post(control::pause_generation)),
        ("/continue_generation", post(control::continue_generation)),
        ("/sleep", post(sleep::sleep)),
        ("/wake_up", post(sleep::wake_up)),
        ("/release_memory_occupation", post(sleep::release)),
        ("/resume_memory_occupation", post(sleep::resume)),
        ("/abort_requests", post(control::abort_requests)),
        ("/inference/v1/abort_requests", post(control::abort_requests)),
        ("/abort_request", post(control::abort_request)),
        ("/reset_prefix_cache", post(control::reset_prefix_cache)),
        ("/flush_cache", flush),
        ("/update_weights_from_disk", post(updates::from_disk)),
        ("/start_weight_update", post(update_steps::start)),
        ("/update_weights", post(update_steps::update)),
        ("/finish_weight_update", post(update_steps::finish)),
        ("/update_weight_version", post(updates::name)),
        ("/weight_checker", post(updates::check)),
    ];
    let admin = |(path, methods)| (Access::Admin, path, methods);
    rows.into_iter().map(admin).collect()
}
