//! What the server says of itself: `/version`, `/load`, `/weight_info`, `/model_info`, `/server_info`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use svs_engine::config::Family;
use svs_engine::kv::BLOCK_TOKENS;
use svs_openapi::ErrorResponse;
use svs_openapi::describe::{EngineState, Load, ModelDescription, ServerDescription, Version, WeightLabel};

use crate::app::App;

/// The version of svs.
#[utoipa::path(get, path = "/version", tag = "operation", responses((status = 200, description = "The version.", body = Version)))]
pub async fn version() -> Json<Version> {
    Json(Version {
        version: env!("CARGO_PKG_VERSION").into(),
    })
}

/// How many requests are being generated.
#[utoipa::path(get, path = "/load", tag = "operation", responses(
    (status = 200, description = "Requests of clients under way.", body = Load),
    (status = 401, description = "The API key is missing or wrong.", body = ErrorResponse),
))]
pub async fn load(State(app): State<Arc<App>>) -> Json<Load> {
    Json(Load {
        server_load: app.running.count(),
    })
}

/// The label of the weights that answer now.
#[utoipa::path(get, path = "/weight_info", tag = "operation", responses(
    (status = 200, description = "The label and the number.", body = WeightLabel),
    (status = 401, description = "The API key is missing or wrong.", body = ErrorResponse),
))]
pub async fn weights(State(app): State<Arc<App>>) -> Json<WeightLabel> {
    let version = app.weight_version();
    Json(WeightLabel {
        weight_version: app.labels.of(app.engine.weights(), version),
        version,
    })
}

/// The model, in SGLang's words. `/get_model_info` is the same.
#[utoipa::path(get, path = "/model_info", tag = "operation", responses(
    (status = 200, description = "The model.", body = ModelDescription),
    (status = 401, description = "The API key is missing or wrong.", body = ErrorResponse),
))]
pub async fn model(State(app): State<Arc<App>>) -> Json<ModelDescription> {
    let (model_type, class) = match app.engine.model().family {
        Family::Llama => ("llama", "LlamaForCausalLM"),
        Family::Mistral => ("mistral", "MistralForCausalLM"),
        Family::Qwen2 => ("qwen2", "Qwen2ForCausalLM"),
        Family::Qwen3 => ("qwen3", "Qwen3ForCausalLM"),
    };
    Json(ModelDescription {
        model_path: app.model_path.clone(),
        tokenizer_path: app.model_path.clone(),
        is_generation: true,
        preferred_sampling_params: None,
        weight_version: app.weight_label(),
        has_image_understanding: false,
        has_audio_understanding: false,
        model_type: model_type.into(),
        architectures: vec![class.into()],
    })
}

/// Bounds and state of the server, in SGLang's words. Keys are never part of it.
#[utoipa::path(get, path = "/server_info", tag = "operation", responses(
    (status = 200, description = "Bounds and state.", body = ServerDescription),
    (status = 401, description = "The API key is missing or wrong.", body = ErrorResponse),
))]
pub async fn server(State(app): State<Arc<App>>) -> Json<ServerDescription> {
    let (config, stats) = (app.engine.config(), app.engine.stats());
    let names: Vec<String> = app.names().into_iter().map(str::to_owned).collect();
    let storage = app.engine.weights().policy().storage;
    let state = EngineState {
        num_running_reqs: stats.running,
        num_queue_reqs: stats.waiting,
        num_used_tokens: stats.kv_blocks_used * BLOCK_TOKENS,
        token_usage: stats.kv_blocks_used as f64 / stats.kv_blocks_total.max(1) as f64,
        generation_tokens: stats.generation_tokens,
        prompt_tokens: stats.prompt_tokens,
        weight_version: stats.version,
        publishes: stats.publishes,
    };
    Json(ServerDescription {
        version: env!("CARGO_PKG_VERSION").into(),
        status: if app.engine.is_paused() { "paused" } else { "ready" }.into(),
        model_path: app.model_path.clone(),
        tokenizer_path: app.model_path.clone(),
        served_model_name: names.first().cloned().unwrap_or_default(),
        served_model_names: names,
        weight_version: app.weight_label(),
        context_length: app.engine.max_model_len(),
        max_running_requests: config.max_num_seqs,
        max_queued_requests: config.max_waiting,
        chunked_prefill_size: config.max_num_batched_tokens,
        max_total_num_tokens: stats.kv_blocks_total * BLOCK_TOKENS,
        page_size: BLOCK_TOKENS,
        dtype: storage.weights.name().into(),
        kv_cache_dtype: storage.kv.name().into(),
        device: config.device.to_string(),
        started: app.started,
        internal_states: vec![state],
    })
}
