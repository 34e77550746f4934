//! `POST /v1/score`.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use svs_engine::EngineError;
use svs_openapi::score::{ScoreList, ScoreRequest, ScoredResponse};
use svs_openapi::{ErrorResponse, Usage};
use uuid::Uuid;

use crate::app::{App, unix_seconds};
use crate::error::ApiError;
use crate::http::body::decode;
use crate::lower::{lowered, plan_score};

/// Tells what the model thinks of given responses: their tokens' logprobs and entropies. Scoring shares the engine's
/// steps with generation; each response stays with the weights it began with.
///
/// # Errors
/// Bad fields, unknown model or weight version, overload, a failed engine.
#[utoipa::path(
    post, path = "/v1/score", tag = "serving",
    request_body = ScoreRequest,
    responses(
        (status = 200, description = "Logprobs and entropies.", body = ScoreList),
        (status = 400, description = "A field is wrong.", body = ErrorResponse),
        (status = 401, description = "The API key is missing or wrong.", body = ErrorResponse),
        (status = 404, description = "The model is not served.", body = ErrorResponse),
        (status = 413, description = "The body is too large.", body = ErrorResponse),
        (status = 429, description = "Too much at once; see Retry-After.", body = ErrorResponse),
        (status = 500, description = "The server failed.", body = ErrorResponse),
        (status = 503, description = "The engine has stopped.", body = ErrorResponse),
    )
)]
pub async fn create(State(app): State<Arc<App>>, request: Request) -> Result<Json<ScoreList>, ApiError> {
    let planned = lowered(&app, request, |app, body| {
        let request: ScoreRequest = decode(body, &[])?;
        Ok((request.model.clone(), plan_score(app, request)?))
    });
    let (model, requests) = planned.await?;
    let prompt_tokens = requests.first().map_or(0, |request| request.prompt.len());
    let mut runs = Vec::with_capacity(requests.len());
    for request in requests {
        let token_ids = request.response.clone();
        let run = app.engine.score(request).map_err(|error| match error {
            EngineError::UnknownWeights(_) => {
                let message = "no such weights are held; without it the newest are used";
                ApiError::value("weight_version", message)
            }
            error => error.into(),
        })?;
        runs.push((token_ids, run));
    }
    let mut data = Vec::with_capacity(runs.len());
    for (index, (token_ids, run)) in (0..).zip(runs) {
        let scores = run.collect().await?;
        data.push(ScoredResponse {
            index,
            token_ids,
            logprobs: scores.logprobs,
            entropies: scores.entropies,
            weight_version: scores.version,
        });
    }
    let completion_tokens = data.iter().map(|response| response.token_ids.len()).sum();
    Ok(Json(ScoreList {
        id: format!("score-{}", Uuid::new_v4().simple()),
        object: "list".into(),
        created: unix_seconds(),
        model,
        data,
        usage: Usage {
            prompt_tokens,
            completion_tokens,
            total_tokens: prompt_tokens + completion_tokens,
        },
    }))
}
