//! `POST /v1/embeddings`.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use svs_openapi::ErrorResponse;
use svs_openapi::embeddings::{EmbeddingList, EmbeddingRequest};

use crate::app::App;
use crate::error::ApiError;
use crate::http::body::decode;
use crate::http::guard::answered_by;
use crate::lower::{lowered, plan_embeddings};
use crate::reply::embeddings::list;

/// Tells the hidden states of texts, pooled and normalised. Embeddings share the engine's steps with generation.
///
/// # Errors
/// Bad fields, unknown model, overload, a pause that aborts, a failed engine.
#[utoipa::path(
    post, path = "/v1/embeddings", tag = "serving",
    request_body = EmbeddingRequest,
    responses(
        (status = 200, description = "One vector of length 1 per input.", body = EmbeddingList),
        (status = 400, description = "A field is wrong.", body = ErrorResponse),
        (status = 401, description = "The API key is missing or wrong.", body = ErrorResponse),
        (status = 404, description = "The model is not served.", body = ErrorResponse),
        (status = 413, description = "The body is too large.", body = ErrorResponse),
        (status = 429, description = "Too much at once; see Retry-After.", body = ErrorResponse),
        (status = 500, description = "The server failed.", body = ErrorResponse),
        (status = 503, description = "A pause aborted it, or the engine has stopped.", body = ErrorResponse),
    )
)]
pub async fn create(State(app): State<Arc<App>>, request: Request) -> Result<Response, ApiError> {
    let planned = lowered(&app, request, |app, body| {
        let request: EmbeddingRequest = decode(body, &[])?;
        plan_embeddings(app, request)
    });
    let (request, plan) = planned.await?;
    let embeddings = app.engine.embed(request)?.collect().await?;
    let adapter = plan.adapter.clone();
    // Millions of numbers are worded away from the runtime.
    let worded = tokio::task::spawn_blocking(move || serde_json::to_vec(&list(&plan, embeddings)));
    let failed = |error: &dyn std::fmt::Display| {
        let message = format!("the vectors could not be worded: {error}");
        ApiError::server(StatusCode::INTERNAL_SERVER_ERROR, "internal_error", message)
    };
    let body = worded.await.map_err(|error| failed(&error))?;
    let body = body.map_err(|error| failed(&error))?;
    let response = ([(header::CONTENT_TYPE, "application/json")], body).into_response();
    Ok(answered_by(adapter.as_deref(), response))
}
