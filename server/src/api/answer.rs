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
    let (plan, mut wording) = lowered(&app, request, plan).await?;
    let session = Session::start(&app, plan).map_err(|error| wording.refusal(error))?;
    let adapter = session.plan.adapter.clone();
    let response = if session.plan.outputs.stream {
        stream::respond(app, session, wording)
    } else {
        wording.started(&app, &session);
        match wording.behind() {
            Some(response) => {
                tokio::spawn(async move { whole(&app, session, wording).await.map(drop) });
                response
            }
            None => whole(&app, session, wording).await?,
        }
    };
    Ok(answered_by(adapter.as_deref(), response))
}

/// Runs a session to its end and words it.
async fn whole(app: &App, mut session: Session, mut wording: impl Wording) -> Result<Response, ApiError> {
    let ran = session.finish().await.map_err(|error| wording.refusal(error));
    let logged = match ran {
        Ok(()) => record(app, &session, 0..session.choices.len()).await,
        refused => refused,
    };
    match logged {
        Ok(()) => Ok(wording.whole(app, &session)),
        Err(error) => {
            // There is no stream to say it in.
            let _ = wording.failed(&error);
            Err(error)
        }
    }
}
