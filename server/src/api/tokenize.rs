//! `POST /tokenize`, `POST /detokenize`, `GET /tokenizer_info`, as vLLM names them; the first two also under `/v1`.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use serde_json::{Map, Value};
use svs_openapi::ErrorResponse;
use svs_openapi::tokenize::{DetokenizeRequest, Detokenized, TokenizeRequest, Tokenized};

use super::chat::clear_messages;
use crate::app::App;
use crate::error::ApiError;
use crate::http::body::{decode, drop_false, only_objects};
use crate::lower::{self, lowered};

/// Fields of vLLM that this server does not have.
const UNSUPPORTED: [&str; 8] = [
    "continue_final_message",
    "chat_template",
    "chat_template_kwargs",
    "mm_processor_kwargs",
    "media_io_kwargs",
    "tools",
    "documents",
    "return_offsets",
];

/// Encodes texts or a chat.
///
/// # Errors
/// Bad fields, unknown model.
#[utoipa::path(
    post, path = "/tokenize", tag = "serving", request_body = TokenizeRequest,
    responses(
        (status = 200, description = "The tokens.", body = Tokenized),
        (status = 400, description = "A field is wrong.", body = ErrorResponse),
        (status = 401, description = "The API key is missing or wrong.", body = ErrorResponse),
        (status = 404, description = "The model is not served.", body = ErrorResponse),
        (status = 429, description = "Too many long bodies at once, or the session of the key takes no more; see Retry-After.", body = ErrorResponse),
    )
)]
pub async fn tokenize(State(app): State<Arc<App>>, request: Request) -> Result<Json<Tokenized>, ApiError> {
    let tokenized = lowered(&app, request, |app, mut body| {
        if let Some(object) = body.as_object_mut() {
            drop_false(object, &UNSUPPORTED);
        }
        clear_messages(&mut body)?;
        only_objects(&body, &["messages[]", "messages[].content[]"])?;
        lower::tokenize(app, decode(body, &UNSUPPORTED)?)
    });
    tokenized.await.map(Json)
}

/// Decodes tokens.
///
/// # Errors
/// Bad fields, unknown model.
#[utoipa::path(
    post, path = "/detokenize", tag = "serving", request_body = DetokenizeRequest,
    responses(
        (status = 200, description = "The text.", body = Detokenized),
        (status = 400, description = "A field is wrong.", body = ErrorResponse),
        (status = 401, description = "The API key is missing or wrong.", body = ErrorResponse),
        (status = 404, description = "The model is not served.", body = ErrorResponse),
        (status = 429, description = "Too many long bodies at once, or the session of the key takes no more; see Retry-After.", body = ErrorResponse),
    )
)]
pub async fn detokenize(State(app): State<Arc<App>>, request: Request) -> Result<Json<Detokenized>, ApiError> {
    let decoded = lowered(&app, request, |app, body| lower::detokenize(app, decode(body, &[])?));
    decoded.await.map(Json)
}

/// The model's `tokenizer_config.json`, with the chat template in force.
#[utoipa::path(
    get, path = "/tokenizer_info", tag = "serving",
    responses(
        (status = 200, description = "The tokenizer's configuration; `tokenizer_class` and `chat_template` are always there.", body = Object),
        (status = 401, description = "The API key is missing or wrong.", body = ErrorResponse),
    )
)]
pub async fn tokenizer_config(State(app): State<Arc<App>>) -> Json<Value> {
    let files = app.engine.tokenizer().files();
    let parsed = files.tokenizer_config.as_deref().map(serde_json::from_slice);
    let mut config = match parsed {
        Some(Ok(Value::Object(config))) => config,
        _ => Map::new(),
    };
    // The class that reads a tokenizer.json, which every model here has.
    let class = || Value::from("PreTrainedTokenizerFast");
    config.entry("tokenizer_class").or_insert_with(class);
    if let Some(template) = &files.chat_template {
        config.insert("chat_template".into(), template.as_str().into());
    }
    config.entry("chat_template").or_insert(Value::Null);
    Json(Value::Object(config))
}
