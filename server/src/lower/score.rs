//! `POST /v1/score` → requests of the engine.

use svs_engine::runtime::ScoreRequest;
use svs_engine::weights::ADAPTER_VERSIONS;
use svs_openapi::score::ScoreRequest as Wire;

use super::plan::{MAX_SALT_BYTES, admit_all, token_prompts};
use super::room::Room;
use crate::app::App;
use crate::error::{ApiError, short};

/// Checks a score request; one request of the engine per response.
///
/// # Errors
/// The refusal of the first bad field.
pub fn plan_score(app: &App, request: Wire) -> Result<Vec<ScoreRequest>, ApiError> {
    let weights = weights(app, &request)?;
    let temperature = match request.temperature {
        None => 1.0,
        Some(value) if (0.001..=2.0).contains(&value) => value as f32,
        Some(value) => {
            let message = format!("{} is out of range; allowed is 0.001 to 2", short(value));
            return Err(ApiError::value("temperature", message));
        }
    };
    let salt = request.cache_salt;
    if salt
        .as_ref()
        .is_some_and(|salt| salt.is_empty() || salt.len() > MAX_SALT_BYTES)
    {
        return Err(ApiError::value(
            "cache_salt",
            format!("must have 1 to {MAX_SALT_BYTES} bytes"),
        ));
    }
    let [(prompt, _)] = &token_prompts(app, request.prompt, ("prompt", true))?[..] else {
        return Err(ApiError::value(
            "prompt",
            "several prompts; allowed is one, with several responses",
        ));
    };
    let room = Room::of(app);
    let score = |(response, _): (Vec<u32>, Option<String>)| {
        if prompt.len() + response.len() > room.0 {
            let message = format!(
                "prompt and response have {} tokens, but the context length is {}",
                prompt.len() + response.len(),
                room.0
            );
            return Err(ApiError::invalid("response", "context_length_exceeded", message));
        }
        Ok(ScoreRequest {
            prompt: prompt.clone(),
            response,
            temperature,
            weights: weights.map(|version| version.to_string()),
            cache_salt: salt.clone(),
            tap: None,
        })
    };
    let responses = token_prompts(app, request.response, ("response", false))?;
    admit_all(app, "response", responses.len())?;
    responses.into_iter().map(score).collect()
}

/// The version that the request names, by its adapter or outright; `None` is the policy's newest.
fn weights(app: &App, request: &Wire) -> Result<Option<u64>, ApiError> {
    let own = app.find_model(&request.model)?.map(|adapter| adapter.weights.version);
    match (own, request.weight_version) {
        (Some(own), Some(asked)) if own != asked => {
            let message = format!("`{}` is an adapter: its weights are version {own}", request.model);
            Err(ApiError::value("weight_version", message))
        }
        (None, Some(asked)) if asked >= ADAPTER_VERSIONS => {
            let message = "this is the version of an adapter: name the adapter in `model`";
            Err(ApiError::value("weight_version", message))
        }
        (own, asked) => Ok(own.or(asked)),
    }
}
