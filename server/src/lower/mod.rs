//! Wire requests → a checked [`Plan`]: token prompts, sampling parameters, what to report, what to log.
//!
//! Every range is checked here or in the engine, and every refusal names its field; nothing has run yet.

mod embeddings;
mod guide;
mod intent;
mod messages;
mod native;
mod outputs;
mod plan;
mod responses;
mod room;
mod sampling;
mod score;
mod token_generation;
mod tokenize;
mod tools;

use std::sync::Arc;

use axum::extract::Request;
use axum::http::StatusCode;
use serde_json::Value;

use crate::app::App;
use crate::error::ApiError;
use crate::http::body::parse;

pub use embeddings::{EmbeddingPlan, plan_embeddings};
pub use intent::Intent;
pub use native::{NativePlan, NativeShape, plan_native};
pub use outputs::Outputs;
pub use plan::{Plan, PromptPlan, plan_chat, plan_completion};
pub use responses::{ResponsePlan, in_words as response_words, plan_response};
pub use score::plan_score;
pub use token_generation::{TokenPlan, plan_tokens, refusal as token_refusal};
pub use tokenize::{detokenize, tokenize};
pub use tools::ToolUse;

/// Fields that routes with `sampling_params` have in there, under the same name.
const IN_SAMPLING: [&str; 11] = [
    "temperature",
    "top_p",
    "top_k",
    "min_p",
    "frequency_penalty",
    "presence_penalty",
    "repetition_penalty",
    "stop",
    "stop_token_ids",
    "ignore_eos",
    "logit_bias",
];

/// The same refusal in the words of a route that has `sampling_params`, whose other fields have other names: the first of
/// `names` with its `ours` counts.
fn in_words_of(names: &[(&str, &str)], error: ApiError) -> ApiError {
    let Some(param) = error.param.clone() else {
        return error;
    };
    if let Some((ours, theirs)) = names.iter().find(|(ours, _)| *ours == param) {
        return error.rename_param(ours, theirs);
    }
    if IN_SAMPLING.contains(&param.as_str()) {
        return error.rename_param(&param, &format!("sampling_params.{param}"));
    }
    error
}

/// Reads the body of a request and plans what it asks for. All but the reading runs on a thread that may block: parsing a
/// long body or encoding a long prompt must not hold up other requests. Long bodies wait for one another.
///
/// # Errors
/// Those of [`crate::http::bodies::Bodies::read`], [`parse`] and `plan`.
pub async fn lowered<T: Send + 'static>(
    app: &Arc<App>,
    request: Request,
    plan: impl FnOnce(&App, Value) -> Result<T, ApiError> + Send + 'static,
) -> Result<T, ApiError> {
    let body = app.bodies.read(&app.config, request).await?;
    // The body keeps its room until it is planned.
    off_the_runtime(app, move |app| plan(app, parse(&body.bytes)?)).await
}

/// Plans on a thread that may block.
///
/// # Errors
/// Those of `plan`; 500 if it panicked.
async fn off_the_runtime<T: Send + 'static>(
    app: &Arc<App>,
    plan: impl FnOnce(&App) -> Result<T, ApiError> + Send + 'static,
) -> Result<T, ApiError> {
    let app = Arc::clone(app);
    tokio::task::spawn_blocking(move || plan(&app))
        .await
        .unwrap_or_else(|error| {
            tracing::error!(%error, "planning a request failed");
            Err(ApiError::server(
                StatusCode::INTERNAL_SERVER_ERROR,
                "internal_error",
                "the server failed while reading the request; its log has the cause",
            ))
        })
}
