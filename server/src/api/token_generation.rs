//! `POST /inference/v1/generate`, as vLLM names it.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::sse::Event;
use axum::response::{IntoResponse, Response};
use serde_json::Value;
use svs_openapi::ErrorResponse;
use svs_openapi::token_generation::{TokenAnswer, TokenRequest};

use super::answer::answer;
use crate::app::App;
use crate::error::ApiError;
use crate::http::body::{decode, drop_empty, drop_false, only_objects, refuse_within};
use crate::lower::{TokenPlan, plan_tokens, token_refusal};
use crate::reply::token_generation::TokenWords;
use crate::session::{Session, Update};
use crate::stream::{self, Wording};

/// Fields of vLLM's route that this server does not have.
const UNSUPPORTED: [&str; 4] = ["features", "kv_transfer_params", "cache_salts", "sampling_mask"];
/// Fields of vLLM's sampling parameters that this server does not have.
const UNSUPPORTED_SAMPLING: [&str; 10] = [
    "bad_words",
    "allowed_token_ids",
    "logprob_token_ids",
    "prompt_logprob_token_ids",
    "prompt_logprob_start",
    "flat_logprobs",
    "trace_decode_token_ids",
    "extra_args",
    "logits_processors",
    "truncate_prompt_tokens",
];

/// Continues token ids.
///
/// # Errors
/// Bad fields, unknown model, overload, a failed log or engine.
#[utoipa::path(
    post, path = "/inference/v1/generate", tag = "serving", request_body = TokenRequest,
    responses(
        (status = 200, description = "The choices; with `stream: true` server-sent events of the same shape.", body = TokenAnswer),
        (status = 400, description = "A field is wrong.", body = ErrorResponse),
        (status = 401, description = "The API key is missing or wrong.", body = ErrorResponse),
        (status = 404, description = "The model is not served.", body = ErrorResponse),
        (status = 413, description = "The body is too large.", body = ErrorResponse),
        (status = 429, description = "Too much at once; see Retry-After.", body = ErrorResponse),
        (status = 500, description = "The server failed.", body = ErrorResponse),
        (status = 503, description = "The engine has stopped.", body = ErrorResponse),
    )
)]
pub async fn create(State(app): State<Arc<App>>, request: Request) -> Result<Response, ApiError> {
    answer(app, request, |app, body| {
        let TokenPlan { plan, id, texts } = plan_tokens(app, decoded(body)?)?;
        let words = TokenWords { id, texts };
        Ok((plan, TokenWording { words, opened: false }))
    })
    .await
}

fn decoded(mut body: Value) -> Result<TokenRequest, ApiError> {
    let objects = [
        "sampling_params",
        "sampling_params.structured_outputs",
        "stream_options",
    ];
    only_objects(&body, &objects)?;
    if let Some(sampling) = body.get_mut("sampling_params").and_then(Value::as_object_mut) {
        drop_empty(sampling, &UNSUPPORTED_SAMPLING);
        drop_false(sampling, &UNSUPPORTED_SAMPLING);
        refuse_within("sampling_params", sampling, &UNSUPPORTED_SAMPLING)?;
    }
    decode(body, &UNSUPPORTED)
}

struct TokenWording {
    words: TokenWords,
    opened: bool,
}

impl Wording for TokenWording {
    fn chunks(&mut self, app: &App, session: &Session, update: &Update) -> Vec<Event> {
        let first = !std::mem::replace(&mut self.opened, true);
        let chunk = match update {
            Update::Token { index, event } => self.words.token(app, session, *index, &event.text, first),
            Update::Finished { index, text } => self.words.closing(app, session, *index, text, first),
        };
        vec![stream::event(&chunk)]
    }

    fn totals(&self, session: &Session) -> Option<Event> {
        Some(stream::event(&self.words.totals(session)))
    }

    fn whole(&mut self, app: &App, session: &Session) -> Response {
        axum::Json(self.words.response(app, session)).into_response()
    }

    fn refusal(&self, error: ApiError) -> ApiError {
        token_refusal(error)
    }
}
