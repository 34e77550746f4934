//! Wire requests → a checked [`Plan`]: token prompts, sampling parameters, what to report, what to log.
//!
//! Every range is checked here or in the engine, and every refusal names its field; nothing has run yet.

mod guide;
mod intent;
mod native;
mod plan;
mod room;
mod sampling;
mod score;
mod token_generation;
mod tokenize;

use std::sync::Arc;

use axum::http::StatusCode;

use crate::app::App;
use crate::error::ApiError;

pub use intent::Intent;
pub use native::{NativePlan, NativeShape, plan_native};
pub use plan::{Outputs, Plan, PromptPlan, plan_chat, plan_completion};
pub use score::plan_score;
pub use token_generation::{TokenPlan, plan_tokens, refusal as token_refusal};
pub use tokenize::{detokenize, tokenize};

/// The same refusal in the words of a route whose fields have other names: the first of `names` with its `ours` counts.
fn in_words_of(names: &[(&str, &str)], error: ApiError) -> ApiError {
    let renamed = names.iter().find(|(ours, _)| error.param.as_deref() == Some(*ours));
    match renamed {
        Some((ours, theirs)) => error.rename_param(ours, theirs),
        None => error,
    }
}

/// Plans on a thread that may block: encoding a long prompt must not hold up other requests.
///
/// # Errors
/// Those of `plan`; 500 if it panicked.
pub async fn off_the_runtime<T: Send + 'static>(
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
