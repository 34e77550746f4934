//! The OpenAPI document, assembled from the handlers.

use svs_openapi::{ChatCompletionChunk, chat, common};
use utoipa::OpenApi;

use crate::api;
use shared::Shared;

mod shared;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "svs",
        description = "Serves a language model over the OpenAI API and trains it while it serves. Extensions keep vLLM's names.",
    ),
    paths(
        api::chat::create,
        api::completions::create,
        api::score::create,
        api::embeddings::create,
        api::responses::create,
        api::responses::retrieve,
        api::responses::delete,
        api::responses::cancel,
        api::native::create,
        api::token_generation::create,
        api::tokenize::tokenize,
        api::tokenize::detokenize,
        api::tokenize::tokenizer_config,
        api::models::list,
        api::models::retrieve,
        api::train::start,
        api::train::pause,
        api::train::resume,
        api::train::stop,
        api::train::status,
        api::steer::metrics,
        api::problems::list,
        api::steer::config,
        api::steer::configure,
        api::steer::step,
        api::steer::checkpoint,
        api::steer::eval,
        api::steer::rollback,
        api::graders::validate,
        api::graders::run,
        api::files::create,
        api::files::list,
        api::files::retrieve,
        api::files::content,
        api::files::delete,
        api::jobs::create,
        api::jobs::list,
        api::jobs::retrieve,
        api::jobs::cancel,
        api::jobs::pause,
        api::jobs::resume,
        api::jobs::events,
        api::jobs::checkpoints,
        api::rl::start,
        api::rl::reward,
        api::rl::end,
        api::trajectories::list,
        api::trajectories::export,
        api::trajectories::retrieve,
        api::trajectories::reward,
        api::adapters::load,
        api::adapters::unload,
        api::pause::pause,
        api::pause::resume,
        api::pause::is_paused,
        api::sleep::sleep,
        api::sleep::wake_up,
        api::sleep::is_sleeping,
        api::sleep::release,
        api::sleep::resume,
        api::control::pause_generation,
        api::control::continue_generation,
        api::control::abort_requests,
        api::control::abort_request,
        api::control::reset_prefix_cache,
        api::control::flush_cache,
        api::updates::from_disk,
        api::update_steps::start,
        api::update_steps::update,
        api::update_steps::finish,
        api::updates::name,
        api::updates::check,
        api::describe::version,
        api::describe::load,
        api::describe::weights,
        api::describe::model,
        api::describe::server,
        api::operate::health,
        api::operate::health_generate,
        api::operate::metrics,
        api::operate::openapi,
    ),
    modifiers(&Shared),
    components(schemas(ChatCompletionChunk, chat::ChunkChoice, chat::Delta, common::PromptLogprob)),
    tags(
        (name = "serving", description = "Generation."),
        (name = "training", description = "Control of the in-process trainer, and what it learns from."),
        (name = "operation", description = "Adapters, pause and resume, health, metrics, this document."),
    )
)]
struct Document;

/// The document as pretty JSON with a final newline, as committed in `openapi/openapi.json`.
#[must_use]
pub fn openapi_json() -> String {
    let mut text = Document::openapi()
        .to_pretty_json()
        .expect("the document is plain data");
    text.push('\n');
    text
}

#[cfg(test)]
mod tests;
