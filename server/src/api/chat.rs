//! `POST /v1/chat/completions`.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::sse::Event;
use axum::response::{IntoResponse, Response};
use serde_json::Value;
use svs_openapi::{ChatCompletion, ChatCompletionRequest, ErrorResponse};

use super::answer::answer;
use crate::app::App;
use crate::error::ApiError;
use crate::http::body::no_ops::{self, drop_no_ops};
use crate::http::body::{decode, drop_empty, only_objects, refuse_within};
use crate::lower::plan_chat;
use crate::reply::{Reading, Vocabulary, chat as reply};
use crate::session::{Session, Update};
use crate::stream::{self, Wording};

/// Fields of OpenAI's chat API that this server does not have.
const UNSUPPORTED: [&str; 8] = [
    "functions",
    "function_call",
    "audio",
    "modalities",
    "prediction",
    "reasoning_effort",
    "verbosity",
    "web_search_options",
];
/// Fields of messages, OpenAI's and vLLM's, that this server does not have; they may come back from an earlier answer and say
/// nothing.
const UNSUPPORTED_IN_MESSAGES: [&str; 7] = [
    "name",
    "refusal",
    "audio",
    "function_call",
    "annotations",
    "reasoning",
    "reasoning_content",
];

/// What must be an object where it is given.
const OBJECTS: [&str; 11] = [
    "messages[]",
    "messages[].tool_calls[]",
    "messages[].tool_calls[].function",
    "tools[]",
    "tools[].function",
    "tool_choice",
    "messages[].content[]",
    "stream_options",
    "response_format",
    "response_format.json_schema",
    "structured_outputs",
];

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
    answer(app, request, |app, mut body| {
        drop_no_ops(&mut body, &[&no_ops::SHARED, &no_ops::CHAT])?;
        clear_messages(&mut body)?;
        only_objects(&body, &OBJECTS)?;
        Ok((plan_chat(app, decode(body, &UNSUPPORTED)?)?, ChatWording::default()))
    })
    .await
}

/// Removes what messages repeat of an earlier answer without saying anything.
///
/// # Errors
/// 400 `unsupported_parameter` naming the first that says something.
pub(super) fn clear_messages(body: &mut Value) -> Result<(), ApiError> {
    let messages = body.get_mut("messages").and_then(Value::as_array_mut);
    for (index, message) in messages.into_iter().flatten().enumerate() {
        let Some(message) = message.as_object_mut() else {
            continue;
        };
        drop_empty(message, &UNSUPPORTED_IN_MESSAGES);
        refuse_within(&format!("messages[{index}]"), message, &UNSUPPORTED_IN_MESSAGES)?;
        // What OpenAI's client has parsed of an answer, and sends back beside it.
        message.remove("parsed");
        let calls = message.get_mut("tool_calls").and_then(Value::as_array_mut);
        for call in calls.into_iter().flatten() {
            if let Some(function) = call.get_mut("function").and_then(Value::as_object_mut) {
                function.remove("parsed_arguments");
            }
        }
    }
    Ok(())
}

/// The choices whose first chunk is sent, and what reads their texts.
#[derive(Default)]
struct ChatWording {
    opened: HashMap<usize, Reading>,
}

impl Wording for ChatWording {
    fn chunks(&mut self, app: &App, session: &Session, update: &Update) -> Vec<Event> {
        let vocabulary = Vocabulary(app.engine.tokenizer());
        let (Update::Token { index, .. } | Update::Finished { index, .. }) = update;
        let mut chunks = Vec::with_capacity(2);
        let first = self.opened.is_empty();
        let reading = self.opened.entry(*index).or_insert_with(|| {
            chunks.push(stream::event(&reply::opening(session, vocabulary, *index, first)));
            Reading::of(session)
        });
        match update {
            Update::Token { index, event } => {
                let said = reading.push(&event.text);
                chunks.extend(reply::token(session, vocabulary, *index, said).map(|chunk| stream::event(&chunk)));
            }
            Update::Finished { index, text } => {
                let said = reading.finish(text);
                chunks.push(stream::event(&reply::closing(session, *index, said)));
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

    fn refusal(&self, error: ApiError) -> ApiError {
        error.rename_param("prompt", "messages")
    }
}
