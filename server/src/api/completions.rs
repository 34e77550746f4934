//! `POST /v1/completions`.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::sse::Event;
use axum::response::{IntoResponse, Response};
use svs_openapi::{Completion, CompletionRequest, ErrorResponse};

use super::answer::answer;
use crate::app::App;
use crate::error::ApiError;
use crate::http::body::no_ops::{self, drop_no_ops};
use crate::http::body::{decode, only_objects};
use crate::lower::plan_completion;
use crate::reply::{Offsets, Vocabulary, completion as reply};
use crate::session::{Session, Update};
use crate::stream::{self, Wording};

/// Fields of OpenAI's and vLLM's completions API that this server does not have.
const UNSUPPORTED: [&str; 3] = ["suffix", "top_logprobs", "tools"];

/// What must be an object where it is given.
const OBJECTS: [&str; 4] = [
    "stream_options",
    "response_format",
    "response_format.json_schema",
    "structured_outputs",
];

/// Continues prompts given as text or token ids.
///
/// # Errors
/// Bad fields, unknown model, overload, a failed log or engine.
#[utoipa::path(
    post, path = "/v1/completions", tag = "serving",
    request_body = CompletionRequest,
    responses(
        (status = 200, description = "The continuations; with `stream: true` server-sent events of the same shape.", body = Completion),
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
    answer(app, request, |app, mut body| {
        drop_no_ops(&mut body, &[&no_ops::SHARED])?;
        only_objects(&body, &OBJECTS)?;
        let plan = plan_completion(app, decode(body, &UNSUPPORTED)?)?;
        Ok((plan, CompletionWording::default()))
    })
    .await
}

/// Where the next token of each choice starts whose first chunk is sent.
#[derive(Default)]
struct CompletionWording {
    offsets: HashMap<usize, Offsets>,
}

impl Wording for CompletionWording {
    fn chunks(&mut self, app: &App, session: &Session, update: &Update) -> Vec<Event> {
        let vocabulary = Vocabulary(app.engine.tokenizer());
        let (Update::Token { index, .. } | Update::Finished { index, .. }) = update;
        let mut chunks = Vec::with_capacity(2);
        let offsets = self.offsets.entry(*index).or_insert_with(|| {
            let (chunk, offsets) = reply::opening(session, vocabulary, *index);
            chunks.extend(chunk.map(|chunk| stream::event(&chunk)));
            offsets
        });
        match update {
            Update::Token { index, event } => {
                let chunk = reply::token(session, vocabulary, *index, &event.text, offsets);
                chunks.extend(chunk.map(|chunk| stream::event(&chunk)));
            }
            Update::Finished { index, text } => {
                chunks.push(stream::event(&reply::closing(session, *index, text)));
            }
        }
        chunks
    }

    fn totals(&self, session: &Session) -> Option<Event> {
        Some(stream::event(&reply::totals(session)))
    }

    fn whole(&mut self, app: &App, session: &Session) -> Response {
        axum::Json(reply::response(session, Vocabulary(app.engine.tokenizer()))).into_response()
    }
}
