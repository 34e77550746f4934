//! `score`: what a weight version says of given tokens, computed in the same steps as generation.

use std::sync::Arc;

use super::validate::invalid;
use super::{EngineHandle, Generation};
use crate::error::EngineError;
use crate::request::{Completion, GenerateRequest, SamplingParams};
use crate::tap::TapSource;

/// Given tokens to score.
#[derive(Debug, Clone, Default)]
pub struct ScoreRequest {
    /// What comes before, at least one token; not scored.
    pub prompt: Vec<u32>,
    /// Tokens to score, at least one.
    pub response: Vec<u32>,
    /// Logits are divided by it; above 0.
    pub temperature: f32,
    /// Weights to score under; `None` is the alias `policy`. A version number or a label of the store.
    pub weights: Option<String>,
    /// Separates prefix-cache entries of different tenants.
    pub cache_salt: Option<String>,
    /// Reads the hidden states that the response's tokens are scored from.
    pub tap: Option<Arc<dyn TapSource>>,
}

/// Logprobs and entropies of the response's tokens.
#[derive(Debug, Clone, PartialEq)]
pub struct Scores {
    /// Weight version of all of them: a swap in between does not touch them.
    pub version: u64,
    /// Logprob of each token, nats; the one that sampling it at this temperature would have recorded.
    pub logprobs: Vec<f32>,
    /// Entropy of the distribution at each token, nats.
    pub entropies: Vec<f32>,
    /// What the tap made of the hidden states; empty without one.
    pub tapped: Vec<f32>,
}

/// A score under way. Dropping it aborts it.
#[derive(Debug)]
pub struct ScoreRun {
    version: u64,
    /// Tokens to score.
    tokens: usize,
    generation: Generation,
}

impl ScoreRun {
    /// Waits for the end.
    ///
    /// # Errors
    /// [`EngineError::NonFiniteLogits`], [`EngineError::Stopped`]; [`EngineError::Aborted`] where a pause ended it.
    pub async fn collect(self) -> Result<Scores, EngineError> {
        let (version, tokens) = (self.version, self.tokens);
        scores(version, tokens, self.generation.collect().await?)
    }

    /// Waits for the end, blocking.
    ///
    /// # Errors
    /// As [`Self::collect`].
    pub fn collect_blocking(self) -> Result<Scores, EngineError> {
        let (version, tokens) = (self.version, self.tokens);
        scores(version, tokens, self.generation.collect_blocking()?)
    }
}

fn scores(version: u64, tokens: usize, mut done: Completion) -> Result<Scores, EngineError> {
    let tapped = done
        .choices
        .first_mut()
        .map(|choice| std::mem::take(&mut choice.tapped));
    let scored = done.prompt.unwrap_or_default();
    // What was aborted has ended as well, with what it had.
    if scored.iter().filter(|token| token.logprob.is_some()).count() < tokens {
        return Err(EngineError::Aborted);
    }
    Ok(Scores {
        version,
        logprobs: scored.iter().filter_map(|token| token.logprob).collect(),
        entropies: scored.iter().filter_map(|token| token.entropy).collect(),
        tapped: tapped.unwrap_or_default(),
    })
}

impl ScoreRequest {
    /// The request that the engine runs.
    ///
    /// # Errors
    /// [`EngineError::InvalidParameter`].
    pub fn lower(self) -> Result<GenerateRequest, EngineError> {
        if self.prompt.is_empty() {
            return Err(invalid("prompt", "is empty".into()));
        }
        if self.response.is_empty() {
            return Err(invalid("response", "is empty".into()));
        }
        if self.temperature.is_nan() || self.temperature <= 0.0 {
            return Err(invalid("temperature", format!("{} is not above 0", self.temperature)));
        }
        let from = self.prompt.len();
        let mut tokens = self.prompt;
        tokens.extend(self.response);
        Ok(GenerateRequest {
            prompt: tokens,
            n: 1,
            sampling: SamplingParams {
                temperature: self.temperature,
                max_tokens: 0,
                seed: Some(0),
                ..SamplingParams::default()
            },
            weights: self.weights,
            cache_salt: self.cache_salt,
            tap: self.tap,
            score_from: Some(from),
            ..GenerateRequest::default()
        })
    }
}

impl EngineHandle {
    /// Queues the scoring of given tokens, which shares steps, prefix cache and bounds with generation. It stays with the
    /// weights it began with. Does not block.
    ///
    /// # Errors
    /// As [`Self::submit`].
    pub fn score(&self, request: ScoreRequest) -> Result<ScoreRun, EngineError> {
        let tokens = request.response.len();
        let request = request.lower()?;
        let weights = self.weights().resolve(request.weights.as_deref())?;
        let version = weights.version;
        let generation = self.submit_under(request, weights)?;
        Ok(ScoreRun {
            version,
            tokens,
            generation,
        })
    }
}
