//! `embed`: the hidden states of texts as one vector each, computed in the same steps as generation.

use std::sync::Arc;

use super::{EngineHandle, Generation};
use crate::error::EngineError;
use crate::request::{GenerateRequest, Pooling, SamplingParams};

/// Texts to embed.
#[derive(Debug, Clone)]
pub struct EmbedRequest {
    /// Their tokens, at least one each.
    pub texts: Vec<Vec<u32>>,
    /// How the states of a text become one vector.
    pub pooling: Pooling,
    /// Weights to embed under; `None` is the alias `policy`. A version number or a label of the store.
    pub weights: Option<String>,
}

/// Hidden states, one vector per text.
#[derive(Debug, Clone, PartialEq)]
pub struct Embeddings {
    /// Weight version of all of them: a swap in between does not touch them.
    pub version: u64,
    /// The pooled outputs of the final norm, `[texts, hidden]` f32; not normalised further.
    pub states: Vec<Vec<f32>>,
}

/// Embeddings under way. Dropping it aborts them.
#[derive(Debug)]
pub struct EmbedRun {
    version: u64,
    generations: Vec<Generation>,
}

impl EmbedRun {
    /// Waits for the end.
    ///
    /// # Errors
    /// [`EngineError::NonFiniteLogits`], [`EngineError::Stopped`]; [`EngineError::Aborted`] where a pause ended them.
    pub async fn collect(self) -> Result<Embeddings, EngineError> {
        let mut states = Vec::with_capacity(self.generations.len());
        for generation in self.generations {
            states.push(generation.collect().await?.pooled.ok_or(EngineError::Aborted)?);
        }
        Ok(Embeddings {
            version: self.version,
            states,
        })
    }
}

impl Pooling {
    /// The request that the engine runs for a text.
    #[must_use]
    pub fn lower(self, tokens: Vec<u32>) -> GenerateRequest {
        GenerateRequest {
            prompt: tokens,
            n: 1,
            sampling: SamplingParams {
                max_tokens: 0,
                seed: Some(0),
                ..SamplingParams::default()
            },
            pooling: Some(self),
            ..GenerateRequest::default()
        }
    }
}

impl EngineHandle {
    /// Queues embeddings, which share steps and bounds with generation: a mean needs the state of every token, so it
    /// takes nothing from the prefix cache, and a step computes at most `max_scored_rows` of its rows. They stay with the
    /// weights they began with. Does not block.
    ///
    /// # Errors
    /// As [`Self::submit`]; texts already queued are aborted.
    pub fn embed(&self, request: EmbedRequest) -> Result<EmbedRun, EngineError> {
        let weights = self.weights().resolve(request.weights.as_deref())?;
        let queue = |tokens| self.submit_under(request.pooling.lower(tokens), Arc::clone(&weights));
        let generations = request.texts.into_iter().map(queue).collect::<Result<_, _>>()?;
        Ok(EmbedRun {
            version: weights.version,
            generations,
        })
    }
}
