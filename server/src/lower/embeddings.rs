//! `POST /v1/embeddings` → what the engine embeds, and how the vectors are worded.

use std::sync::Arc;

use svs_engine::Pooling;
use svs_engine::runtime::EmbedRequest;
use svs_openapi::embeddings::EmbeddingRequest;

use super::plan::{admit_all, bounded_prompts};
use super::room::Room;
use crate::adapters::Adapter;
use crate::app::App;
use crate::error::ApiError;

/// How the vectors of a checked request are worded.
#[derive(Debug)]
pub struct EmbeddingPlan {
    /// Name the client used for the model.
    pub model: String,
    /// The adapter of that name, held until the answer.
    pub adapter: Option<Arc<Adapter>>,
    /// Tokens of all texts.
    pub tokens: usize,
    /// Dimensions to keep.
    pub dimensions: usize,
    /// Vectors as base64.
    pub base64: bool,
}

/// Checks a request for embeddings.
///
/// # Errors
/// The refusal of the first bad field.
pub fn plan_embeddings(app: &App, request: EmbeddingRequest) -> Result<(EmbedRequest, EmbeddingPlan), ApiError> {
    let adapter = app.find_model(&request.model)?;
    let base64 = match request.encoding_format.as_deref() {
        None | Some("float") => false,
        Some("base64") => true,
        Some(other) => return Err(unknown("encoding_format", other, "float, base64")),
    };
    let pooling = match request.pooling.as_deref() {
        None => app.config.embedding_pooling,
        Some("mean") => Pooling::Mean,
        Some("last") => Pooling::Last,
        Some(other) => return Err(unknown("pooling", other, "mean, last")),
    };
    let hidden = app.engine.model().hidden_size;
    let dimensions = request.dimensions.unwrap_or(hidden);
    if !(1..=hidden).contains(&dimensions) {
        let message = format!("{dimensions} is out of range; allowed is 1 to {hidden}, the model's hidden size");
        return Err(ApiError::value("dimensions", message));
    }
    let most = (app.config.max_embedding_inputs, "server.max_embedding_inputs");
    let prompts = bounded_prompts(app, request.input, ("input", true), most)?;
    admit_all(app, "input", prompts.len())?;
    let texts: Vec<Vec<u32>> = prompts.into_iter().map(|(tokens, _)| tokens).collect();
    let plan = EmbeddingPlan {
        model: request.model,
        tokens: count(app, &texts)?,
        dimensions,
        base64,
        adapter,
    };
    let weights = plan.adapter.as_ref().map(|adapter| adapter.weights.version.to_string());
    let request = EmbedRequest {
        texts,
        pooling,
        weights,
    };
    Ok((request, plan))
}

/// Tokens of all texts, if each fits the context and all the bound.
fn count(app: &App, texts: &[Vec<u32>]) -> Result<usize, ApiError> {
    let Room(room) = Room::of(app);
    if let Some(index) = texts.iter().position(|tokens| tokens.len() > room) {
        let message = format!(
            "`input`: input {index} has {} tokens, but the context length is {room}",
            texts[index].len()
        );
        return Err(ApiError::invalid("input", "context_length_exceeded", message));
    }
    let (tokens, most) = (texts.iter().map(Vec::len).sum(), app.config.max_embedding_tokens);
    if tokens > most {
        let message = format!("{tokens} tokens in all; allowed are at most {most} (server.max_embedding_tokens)");
        return Err(ApiError::value("input", message));
    }
    Ok(tokens)
}

fn unknown(field: &str, value: &str, allowed: &str) -> ApiError {
    ApiError::value(field, format!("`{value}` is not supported; allowed are {allowed}"))
}
