//! `POST /generate`, as SGLang names it.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::sse::Event;
use axum::response::{IntoResponse, Response};
use svs_openapi::ErrorResponse;
use svs_openapi::native::{NativeAnswer, NativeAnswers, NativeRequest};

use crate::app::App;
use crate::error::ApiError;
use crate::http::body::{decode, drop_empty, drop_false, only_objects, read_json, refuse_within};
use crate::http::guard::answered_by;
use crate::lower::{NativePlan, NativeShape, off_the_runtime, plan_native};
use crate::record::record;
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
    let mut body = read_json(&app.config, request).await?;
    only_objects(&body, &["sampling_params"])?;
    if let Some(object) = body.as_object_mut() {
        drop_false(object, &UNSUPPORTED);
        if let Some(sampling) = object
            .get_mut("sampling_params")
            .and_then(|value| value.as_object_mut())
        {
            drop_empty(sampling, &UNSUPPORTED_SAMPLING);
            refuse_within("sampling_params", sampling, &UNSUPPORTED_SAMPLING)?;
        }
    }
    let request: NativeRequest = decode(body, &UNSUPPORTED)?;
    let NativePlan { plan, shape } = off_the_runtime(&app, move |app| plan_native(app, request)).await?;
    let mut session = Session::start(&app, plan).map_err(|error| shape.refusal(error))?;
    let adapter = session.plan.adapter.clone();
    if session.plan.outputs.stream {
        let wording = NativeWording { shape };
        return Ok(answered_by(adapter.as_deref(), stream::respond(app, session, wording)));
    }
    session.finish().await.map_err(|error| shape.refusal(error))?;
    record(&app, &session, 0..session.choices.len()).await?;
    let answer = axum::Json(reply::response(&app, &session, &shape));
    Ok(answered_by(adapter.as_deref(), answer.into_response()))
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
}
