//! Teacher-forced scoring and the explicit backward, over the same forward kernels that serve.
//!
//! The loss is not known here: the caller hands in dL/dlogp and dL/dH per scored token (see the trainer's objective).

use std::sync::Arc;

use crate::error::EngineError;
use crate::params::Params;
use crate::weights::WeightSet;

/// One packed row: a whole token sequence and which of its tokens are scored.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainSequence {
    /// Prompt and response tokens.
    pub tokens: Vec<u32>,
    /// Ascending positions `t >= 1`; token `t` is scored given tokens `..t`.
    pub scored: Vec<u32>,
    /// Logits are divided by it before the softmax; must be > 0.
    pub temperature: f32,
}

/// Scores of one token under the current weights.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TokenScore {
    /// log p(token), nats, after temperature.
    pub logprob: f32,
    /// Entropy of the distribution, nats, after temperature.
    pub entropy: f32,
}

/// Derivatives of the loss at one scored token.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct TokenGrad {
    /// dL/dlogp.
    pub dlogprob: f32,
    /// dL/dH.
    pub dentropy: f32,
}

/// The weights of a version prepared for forward and backward (adds transposed panels).
#[derive(Debug)]
pub struct TrainWeights {
    /// The serving weights the forward uses.
    pub set: Arc<WeightSet>,
}

impl TrainWeights {
    /// Prepares `set` for the backward.
    #[must_use]
    pub fn prepare(_set: Arc<WeightSet>, _params: &Params) -> Self {
        unimplemented!()
    }
}

/// Scores every scored token of every sequence. Result: per sequence, one entry per `scored` position.
/// Bit-identical to the logprobs recorded at sampling under the same version (no penalties, no truncation).
///
/// # Errors
/// [`EngineError::InvalidParameter`] for an empty sequence, a position out of range or a temperature <= 0;
/// [`EngineError::NonFiniteLogits`].
pub fn score(_weights: &WeightSet, _sequences: &[TrainSequence]) -> Result<Vec<Vec<TokenScore>>, EngineError> {
    unimplemented!()
}

/// Forward and backward of one micro-batch: adds d/dθ Σ (dlogprob·logp + dentropy·H) to `grads` and returns the scores.
/// `coefficients` has the shape of the scored positions. Deterministic at any thread count.
///
/// # Errors
/// As [`score`].
pub fn accumulate(
    _weights: &TrainWeights,
    _sequences: &[TrainSequence],
    _coefficients: &[Vec<TokenGrad>],
    _grads: &mut Params,
) -> Result<Vec<Vec<TokenScore>>, EngineError> {
    unimplemented!()
}
