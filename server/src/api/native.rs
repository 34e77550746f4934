//! `POST /generate`, as SGLang names it.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::sse::Event;
use axum::response::{IntoResponse, Response};
use serde_json::Value;
use svs_openapi::ErrorResponse;
use svs_openapi::native::{NativeAnswer, NativeAnswers, NativeRequest};

use super::answer::answer;
use crate::app::App;
use crate::error::ApiError;
use crate::http::body::{decode, drop_empty, drop_false, only_objects, refuse_within};
use crate::lower::{NativePlan, NativeShape, plan_native};
use crate::reply::native as reply;
use crate::session::{Session, Update};
use crate::stream::{self, Wording};

/// Fields of SGLang's `/generate` that this server does not have.
const UNSUPPORTED: [&str; 16] = [
    "token_ids_logprob",
    "return_hidden_states",
    "return_routed_experts",
    "return_sampling_mask",
    "return_entropy",
    "return_bytes",
    "image_data",
    "audio_data",
    "video_data",
    "modalities",
    "input_embeds",
    "session_params",
    "custom_logit_processor",
    "extra_key",
    "lora_id",
    "data_parallel_rank",
];
/// Fields of SGLang's sampling parameters that this server does not have.
const UNSUPPORTED_SAMPLING: [&str; 7] = [
    "ebnf",
    "structural_tag",
    "stop_regex",
    "custom_params",
    "stream_interval",
    "best_of",
    "beam_width",
];

/// Continues prompts given as text or token ids.
///
/// # Errors
/// Bad fields, unknown adapter, overload, a failed log or engine.
#[utoipa::path(
    post, path = "/generate", tag = "serving", request_body = NativeRequest,
    responses(
        (status = 200, description = "An answer, or a list of them; with `stream: true` server-sent events of one answer each, as far as it has come.", body = NativeAnswers),
        (status = 400, description = "A field is wrong.", body = ErrorResponse),
        (status = 401, description = "The API key is missing or wrong.", body = ErrorResponse),
        (status = 404, description = "The adapter is not loaded.", body = ErrorResponse),
        (status = 413, description = "The body is too large.", body = ErrorResponse),
        (status = 429, description = "Too much at once; see Retry-After.", body = ErrorResponse),
        (status = 500, description = "The server failed.", body = ErrorResponse),
        (status = 503, description = "The engine has stopped.", body = ErrorResponse),
    )
)]
pub async fn create(State(app): State<Arc<App>>, request: Request) -> Result<Response, ApiError> {
    answer(app, request, |app, body| {
        let NativePlan { plan, shape } = plan_native(app, decoded(body)?)?;
        Ok((plan, NativeWording { shape }))
    })
    .await
}

fn decoded(mut body: Value) -> Result<NativeRequest, ApiError> {
    only_objects(&body, &["sampling_params"])?;
    if let Some(object) = body.as_object_mut() {
        drop_false(object, &UNSUPPORTED);
        if let Some(sampling) = object.get_mut("sampling_params").and_then(Value::as_object_mut) {
            drop_empty(sampling, &UNSUPPORTED_SAMPLING);
            refuse_within("sampling_params", sampling, &UNSUPPORTED_SAMPLING)?;
        }
    }
    decode(body, &UNSUPPORTED)
}

struct NativeWording {
    shape: NativeShape,
}

impl Wording for NativeWording {
    fn chunks(&mut self, app: &App, session: &Session, update: &Update) -> Vec<Event> {
        let (Update::Token { index, .. } | Update::Finished { index, .. }) = update;
        let answer: NativeAnswer = reply::answer(app, session, &self.shape, *index);
        vec![stream::event(&answer)]
    }

    fn totals(&self, _session: &Session) -> Option<Event> {
        // Every chunk has its counts.
        None
    }

    fn whole(&mut self, app: &App, session: &Session) -> Response {
        axum::Json(reply::response(app, session, &self.shape)).into_response()
    }

    fn refusal(&self, error: ApiError) -> ApiError {
        self.shape.refusal(error)
    }
}
