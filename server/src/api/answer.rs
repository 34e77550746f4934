//! From a request to its answer, for every route that continues prompts: read, plan, run, log, word.

use std::sync::Arc;

use axum::extract::Request;
use axum::response::Response;
use serde_json::Value;

use crate::app::App;
use crate::error::ApiError;
use crate::http::guard::answered_by;
use crate::lower::{Plan, lowered};
use crate::record::record;
use crate::session::Session;
use crate::stream::{self, Wording};

/// Answers a request that `plan` makes a plan and a wording of.
///
/// # Errors
/// Those of `plan`, the engine's and the log's, in the wording's words.
pub async fn answer<W: Wording>(
    app: Arc<App>,
    request: Request,
    plan: impl FnOnce(&App, Value) -> Result<(Plan, W), ApiError> + Send + 'static,
) -> Result<Response, ApiError> {
    let (plan, wording) = lowered(&app, request, plan).await?;
    let mut session = Session::start(&app, plan).map_err(|error| wording.refusal(error))?;
    let adapter = session.plan.adapter.clone();
    let response = if session.plan.outputs.stream {
        stream::respond(app, session, wording)
    } else {
        session.finish().await.map_err(|error| wording.refusal(error))?;
        record(&app, &session, 0..session.choices.len()).await?;
        wording.whole(&app, &session)
    };
    Ok(answered_by(adapter.as_deref(), response))
}
