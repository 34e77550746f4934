//! `POST /v1/completions`.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::sse::Event;
use axum::response::{IntoResponse, Response};
use svs_openapi::{Completion, CompletionRequest, ErrorResponse};

use crate::app::App;
use crate::error::ApiError;
use crate::http::body::{decode, only_objects, read_json};
use crate::http::guard::answered_by;
use crate::lower::{off_the_runtime, plan_completion};
use crate::record::record;
use crate::reply::{Offsets, Vocabulary, completion as reply};
use crate::session::{Session, Update};
use crate::stream::{self, Wording};

/// Fields of OpenAI's and vLLM's completions API that this server does not have.
const UNSUPPORTED: [&str; 4] = ["suffix", "use_beam_search", "top_logprobs", "tools"];

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
    let body = read_json(&app.config, request).await?;
    only_objects(
        &body,
        &[
            "stream_options",
            "response_format",
            "response_format.json_schema",
            "structured_outputs",
        ],
    )?;
    let request: CompletionRequest = decode(body, &UNSUPPORTED)?;
    let plan = off_the_runtime(&app, move |app| plan_completion(app, request)).await?;
    let mut session = Session::start(&app, plan)?;
    let adapter = session.plan.adapter.clone();
    if session.plan.outputs.stream {
        let wording = CompletionWording {
            offsets: vec![None; session.choices.len()],
        };
        return Ok(answered_by(adapter.as_deref(), stream::respond(app, session, wording)));
    }
    session.finish().await?;
    record(&app, &session, 0..session.choices.len()).await?;
    let answer = axum::Json(reply::response(&session, Vocabulary(app.engine.tokenizer())));
    Ok(answered_by(adapter.as_deref(), answer.into_response()))
}

/// Per choice: where its next token starts, once it is opened.
struct CompletionWording {
    offsets: Vec<Option<Offsets>>,
}

impl Wording for CompletionWording {
    fn chunks(&mut self, app: &App, session: &Session, update: &Update) -> Vec<Event> {
        let vocabulary = Vocabulary(app.engine.tokenizer());
        let (Update::Token { index, .. } | Update::Finished { index, .. }) = update;
        let mut chunks = Vec::with_capacity(2);
        let offsets = self.offsets[*index].get_or_insert_with(|| {
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
}
