//! `POST /v1/chat/completions`.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::sse::Event;
use axum::response::{IntoResponse, Response};
use serde_json::Value;
use svs_openapi::{ChatCompletion, ChatCompletionRequest, ErrorResponse};

use crate::app::App;
use crate::error::ApiError;
use crate::http::body::{decode, drop_empty, only_objects, read_json};
use crate::http::guard::answered_by;
use crate::lower::{off_the_runtime, plan_chat};
use crate::record::record;
use crate::reply::{Vocabulary, chat as reply};
use crate::session::{Session, Update};
use crate::stream::{self, Wording};

/// Fields of OpenAI's chat API that this server does not have.
const UNSUPPORTED: [&str; 17] = [
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "functions",
    "function_call",
    "audio",
    "modalities",
    "prediction",
    "reasoning_effort",
    "verbosity",
    "web_search_options",
    "service_tier",
    "best_of",
    "use_beam_search",
    "prompt_cache_key",
    "safety_identifier",
    "echo",
];
/// Fields of OpenAI's messages that may come back from an earlier answer and say nothing.
const EMPTY_IN_MESSAGES: [&str; 6] = ["name", "refusal", "audio", "tool_calls", "function_call", "annotations"];

/// Continues a chat.
///
/// # Errors
/// Bad fields, unknown model, overload, a failed log or engine.
#[utoipa::path(
    post, path = "/v1/chat/completions", tag = "serving",
    request_body = ChatCompletionRequest,
    responses(
        (status = 200, description = "The answer; with `stream: true` server-sent events of ChatCompletionChunk.", body = ChatCompletion),
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
    let body = without_empty(body);
    only_objects(
        &body,
        &[
            "messages[]",
            "messages[].content[]",
            "stream_options",
            "response_format",
            "response_format.json_schema",
            "structured_outputs",
        ],
    )?;
    let request: ChatCompletionRequest = decode(body, &UNSUPPORTED)?;
    let plan = off_the_runtime(&app, move |app| plan_chat(app, request)).await?;
    let mut session = Session::start(&app, plan).map_err(|error| error.rename_param("prompt", "messages"))?;
    let adapter = session.plan.adapter.clone();
    if session.plan.outputs.stream {
        let wording = ChatWording {
            opened: vec![false; session.choices.len()],
        };
        return Ok(answered_by(adapter.as_deref(), stream::respond(app, session, wording)));
    }
    session.finish().await?;
    record(&app, &session, 0..session.choices.len()).await?;
    let answer = axum::Json(reply::response(&session, Vocabulary(app.engine.tokenizer())));
    Ok(answered_by(adapter.as_deref(), answer.into_response()))
}

fn without_empty(mut body: Value) -> Value {
    if let Some(Value::Array(messages)) = body.get_mut("messages") {
        for message in messages.iter_mut().filter_map(Value::as_object_mut) {
            drop_empty(message, &EMPTY_IN_MESSAGES);
        }
    }
    body
}

struct ChatWording {
    opened: Vec<bool>,
}

impl Wording for ChatWording {
    fn chunks(&mut self, app: &App, session: &Session, update: &Update) -> Vec<Event> {
        let vocabulary = Vocabulary(app.engine.tokenizer());
        let (Update::Token { index, .. } | Update::Finished { index, .. }) = update;
        let mut chunks = Vec::with_capacity(2);
        if !self.opened[*index] {
            let first = self.opened.iter().all(|opened| !opened);
            self.opened[*index] = true;
            chunks.push(stream::event(&reply::opening(session, vocabulary, *index, first)));
        }
        match update {
            Update::Token { index, event } => {
                chunks
                    .extend(reply::token(session, vocabulary, *index, &event.text).map(|chunk| stream::event(&chunk)));
            }
            Update::Finished { index, text } => chunks.push(stream::event(&reply::closing(session, *index, text))),
        }
        chunks
    }

    fn totals(&self, session: &Session) -> Option<Event> {
        Some(stream::event(&reply::totals(session)))
    }
}
