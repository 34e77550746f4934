//! `POST /v1/load_lora_adapter` and `POST /v1/unload_lora_adapter`, as vLLM names them.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use svs_engine::EngineError;
use svs_openapi::ErrorResponse;
use svs_openapi::adapters::{LoadLoraAdapter, LoraAdapterStatus, UnloadLoraAdapter};

use crate::adapters::{Adapter, AdapterError};
use crate::app::App;
use crate::error::ApiError;
use crate::http::body::{decode, read_json};

/// Fields of vLLM that this server does not have.
const UNSUPPORTED: [&str; 3] = ["load_inplace", "is_3d_lora_weight", "lora_int_id"];

/// Loads a LoRA adapter beside the base and answers when requests can name it.
///
/// # Errors
/// 403 `lora_dir_not_set`; 400 for the name, the path or the files; 409 `no_room`; 429 `adapter_loading`.
#[utoipa::path(
    post, path = "/v1/load_lora_adapter", tag = "operation", request_body = LoadLoraAdapter,
    responses(
        (status = 200, description = "Requests may name it as `model`.", body = LoraAdapterStatus),
        (status = 400, description = "The name is taken, the path leads nowhere, or the files are wrong.", body = ErrorResponse),
        (status = 401, description = "The API key is missing or wrong.", body = ErrorResponse),
        (status = 403, description = "The operator allows no folder to load from.", body = ErrorResponse),
        (status = 409, description = "No room for another weight set.", body = ErrorResponse),
        (status = 429, description = "Another adapter is being loaded; see Retry-After.", body = ErrorResponse),
    )
)]
pub async fn load(State(app): State<Arc<App>>, request: Request) -> Result<Json<LoraAdapterStatus>, ApiError> {
    app.adapters.root()?;
    let body: LoadLoraAdapter = decode(read_json(&app.config, request).await?, &UNSUPPORTED)?;
    loop {
        match app.adapters.load(body.lora_name.clone(), body.lora_path.clone()).await {
            // Models of jobs are in memory because somebody asked for one once.
            Err(AdapterError::Engine(EngineError::NoRoom(_))) if app.tuned.make_way() => {}
            loaded => return Ok(status("loaded", &*loaded?)),
        }
    }
}

/// Forgets a LoRA adapter. Requests that run on it finish; new ones are answered 404.
///
/// # Errors
/// 403 `lora_dir_not_set`, 404 `adapter_not_found`.
#[utoipa::path(
    post, path = "/v1/unload_lora_adapter", tag = "operation", request_body = UnloadLoraAdapter,
    responses(
        (status = 200, description = "New requests cannot name it any more.", body = LoraAdapterStatus),
        (status = 401, description = "The API key is missing or wrong.", body = ErrorResponse),
        (status = 403, description = "The operator allows no changes of adapters.", body = ErrorResponse),
        (status = 404, description = "No adapter has that name.", body = ErrorResponse),
    )
)]
pub async fn unload(State(app): State<Arc<App>>, request: Request) -> Result<Json<LoraAdapterStatus>, ApiError> {
    app.adapters.root()?;
    let body: UnloadLoraAdapter = decode(read_json(&app.config, request).await?, &UNSUPPORTED)?;
    let adapter = app.adapters.unload(&body.lora_name)?;
    Ok(status("unloaded", &adapter))
}

fn status(status: &str, adapter: &Adapter) -> Json<LoraAdapterStatus> {
    Json(LoraAdapterStatus {
        status: status.into(),
        lora_name: adapter.name.clone(),
        weight_version: adapter.weights.version,
    })
}
