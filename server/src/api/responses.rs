//! `POST /v1/responses`, and `GET`, `DELETE` and `POST …/cancel` of one that is stored.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::{StatusCode, Uri};
use axum::response::sse::Event;
use axum::response::{IntoResponse, Response};
use serde_json::Value;
use svs_openapi::ErrorResponse;
use svs_openapi::chat::Message;
use svs_openapi::responses::{DeletedResponse, Response as Answer, ResponsesRequest};

use super::answer::answer;
use crate::app::App;
use crate::error::ApiError;
use crate::http::body::no_ops::{self, drop_no_ops};
use crate::http::body::{decode, drop_empty, only_objects};
use crate::http::query::{NoQuery, read_query};
use crate::lower::{plan_response, response_words};
use crate::reply::responses::Writer;
use crate::responses::Draft;
use crate::session::{Session, Update};
use crate::stream::Wording;

/// Fields of OpenAI's API that this server does not have.
const UNSUPPORTED: [&str; 11] = [
    "context_management",
    "conversation",
    "include",
    "max_tool_calls",
    "moderation",
    "prompt",
    "prompt_cache_retention",
    "reasoning",
    "stream_options",
    "top_logprobs",
    "verbosity",
];
/// Fields of items that may come back from an earlier response and say nothing.
const EMPTY_IN_ITEMS: [&str; 2] = ["phase", "namespace"];
/// What must be an object where it is given.
const OBJECTS: [&str; 6] = [
    "input[]",
    "input[].content[]",
    "input[].output[]",
    "text",
    "text.format",
    "tools[]",
];
/// Time in which a response that is cancelled must have ended.
const CANCEL_TIME: Duration = Duration::from_secs(60);

/// Answers an input.
///
/// # Errors
/// Bad fields, unknown model or response, overload, a failed log or engine.
#[utoipa::path(
    post, path = "/v1/responses", tag = "serving", request_body = ResponsesRequest,
    responses(
        (status = 200, description = "The response; with `stream: true` server-sent events that carry it.", body = Answer),
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
        for item in body
            .get_mut("input")
            .and_then(Value::as_array_mut)
            .into_iter()
            .flatten()
        {
            if let Some(item) = item.as_object_mut() {
                drop_empty(item, &EMPTY_IN_ITEMS);
            }
        }
        only_objects(&body, &OBJECTS)?;
        let request: ResponsesRequest = decode(body, &UNSUPPORTED)?;
        let (plan, of_response) = plan_response(app, request)?;
        let wording = ResponseWording {
            writer: Writer::new(of_response.response),
            conversation: of_response.conversation,
            draft: None,
        };
        Ok((plan, wording))
    })
    .await
}

fn given(id: Result<Path<String>, PathRejection>) -> Result<String, ApiError> {
    id.map(|Path(id)| id)
        .map_err(|error| ApiError::value("id", error.body_text()))
}

fn unknown(id: &str) -> ApiError {
    let message = format!("no response `{id}` is stored (server.max_stored_responses, max_stored_response_bytes)");
    ApiError::refused(StatusCode::NOT_FOUND, "response_not_found", message)
}

/// Tells a stored response; one that runs has no output yet.
///
/// # Errors
/// 404 `response_not_found`; a query.
#[utoipa::path(
    get, path = "/v1/responses/{id}", tag = "serving", params(("id" = String, Path, description = "Id of a response.")),
    responses(
        (status = 200, description = "The response.", body = Answer),
        (status = 400, description = "The route takes no query.", body = ErrorResponse),
        (status = 401, description = "The API key is missing or wrong.", body = ErrorResponse),
        (status = 404, description = "It is not stored.", body = ErrorResponse),
    )
)]
pub async fn retrieve(
    State(app): State<Arc<App>>,
    id: Result<Path<String>, PathRejection>,
    uri: Uri,
) -> Result<Json<Answer>, ApiError> {
    let id = given(id)?;
    let NoQuery {} = read_query(&uri)?;
    app.responses.get(&id).map(Json).ok_or_else(|| unknown(&id))
}

/// Forgets a stored response. Conversations that went on from it keep what was said.
///
/// # Errors
/// 404 `response_not_found`.
#[utoipa::path(
    delete, path = "/v1/responses/{id}", tag = "serving", params(("id" = String, Path, description = "Id of a response.")),
    responses(
        (status = 200, description = "It is forgotten.", body = DeletedResponse),
        (status = 401, description = "The API key is missing or wrong.", body = ErrorResponse),
        (status = 404, description = "It is not stored.", body = ErrorResponse),
    )
)]
pub async fn delete(
    State(app): State<Arc<App>>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<DeletedResponse>, ApiError> {
    let id = given(id)?;
    if !app.responses.remove(&id) {
        return Err(unknown(&id));
    }
    Ok(Json(DeletedResponse {
        id,
        object: "response".into(),
        deleted: true,
    }))
}

/// Ends a response that runs with what it has, and tells it. One that was cancelled is told again.
///
/// # Errors
/// 404 `response_not_found`; 409 `wrong_state` for one that has ended otherwise.
#[utoipa::path(
    post, path = "/v1/responses/{id}/cancel", tag = "serving",
    params(("id" = String, Path, description = "Id of a response.")),
    responses(
        (status = 200, description = "The response, cancelled.", body = Answer),
        (status = 401, description = "The API key is missing or wrong.", body = ErrorResponse),
        (status = 404, description = "It is not stored.", body = ErrorResponse),
        (status = 409, description = "It has ended.", body = ErrorResponse),
        (status = 503, description = "It does not end.", body = ErrorResponse),
    )
)]
pub async fn cancel(
    State(app): State<Arc<App>>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<Answer>, ApiError> {
    let id = given(id)?;
    if app.responses.get(&id).is_none() {
        return Err(unknown(&id));
    }
    app.running.abort(Some(std::slice::from_ref(&id)));
    let ended = tokio::time::timeout(CANCEL_TIME, app.responses.ended(&id)).await;
    let late = |_| {
        let message = format!("response `{id}` was told to end, and has not");
        ApiError::server(StatusCode::SERVICE_UNAVAILABLE, "generation_timeout", message)
    };
    let response = ended.map_err(late)?.ok_or_else(|| unknown(&id))?;
    if response.status == "cancelled" {
        return Ok(Json(response));
    }
    let message = format!("response `{id}` is {} already", response.status);
    Err(ApiError::refused(StatusCode::CONFLICT, "wrong_state", message))
}

/// Words one response, and keeps it stored as it goes.
struct ResponseWording {
    writer: Writer,
    conversation: Vec<Message>,
    draft: Option<Draft>,
}

impl ResponseWording {
    /// Takes the last text in and stores the response, before its client hears that it has ended.
    fn end(&mut self, session: &Session, text: &str) -> Vec<Event> {
        let events = self.writer.finish(session, text);
        if let Some(draft) = self.draft.take() {
            draft.end(self.writer.response(), Some(self.writer.as_message()));
        }
        events
    }
}

impl Wording for ResponseWording {
    fn started(&mut self, app: &App, session: &Session) -> Vec<Event> {
        let response = self.writer.response();
        if response.store {
            let conversation = std::mem::take(&mut self.conversation);
            self.draft = Some(app.responses.begin(response.clone(), conversation));
        }
        self.writer.opening(session)
    }

    fn chunks(&mut self, _: &App, session: &Session, update: &Update) -> Vec<Event> {
        match update {
            Update::Token { event, .. } => self.writer.push(&event.text),
            Update::Finished { text, .. } => {
                let mut events = self.end(session, text);
                events.push(self.writer.last());
                events
            }
        }
    }

    fn totals(&self, _: &Session) -> Option<Event> {
        None
    }

    fn whole(&mut self, _: &App, session: &Session) -> Response {
        // The text as it was gathered: nothing was pushed.
        let text = session.choices[0].choice.text.clone();
        self.end(session, &text);
        Json(self.writer.response()).into_response()
    }

    fn refusal(&self, error: ApiError) -> ApiError {
        response_words(error)
    }

    fn failed(&mut self, error: &ApiError) -> Event {
        let event = self.writer.failed(error);
        if let Some(draft) = self.draft.take() {
            draft.end(self.writer.response(), None);
        }
        event
    }

    fn ended(&self) -> Option<Event> {
        None
    }

    fn behind(&self) -> Option<Response> {
        let response = self.writer.response();
        response.background.then(|| Json(response).into_response())
    }
}
