//! From a row of logits to a token. The draw depends on the request's seed, the choice and the position only.
//!
//! Order: logit bias, penalties, suppression of ends before `min_tokens`, mask of a grammar, temperature, truncation
//! (top-k, min-p, top-p), draw. Knows no sequences and no tensors beyond its row.

mod history;
mod inverse;
mod mask;
mod philox;
#[cfg(test)]
mod tests;
mod truncate;

pub use history::History;
pub use philox::{Key, philox4x32_10};

use inverse::inverse_cdf;

use crate::ops::logsumexp::{entropy, logsumexp, maximum};
use crate::request::{SamplingParams, TopLogprob};

/// A drawn token and its probabilities.
#[derive(Debug, Clone, PartialEq)]
pub struct Draw {
    /// Token id.
    pub token: u32,
    /// Behaviour logprob, nats.
    pub logprob: f32,
    /// Raw logprob, nats.
    pub raw_logprob: f32,
    /// Processed logits below this were cut; `None` if none were.
    pub threshold: Option<f32>,
    /// Alternatives, best first, of the behaviour distribution.
    pub top: Vec<TopLogprob>,
}

/// The row has no finite largest logit, or contains NaN.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NonFinite;

/// What a draw depends on besides the logits.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// Parameters of the request.
    pub params: &'a SamplingParams,
    /// Tokens so far, for the penalties.
    pub history: &'a History,
    /// Tokens that must not be drawn now (ends, before `min_tokens`).
    pub suppressed: &'a [u32],
    /// Tokens that may be drawn, one bit per id, if a grammar says so; others have probability 0.
    pub allowed: Option<&'a [u32]>,
    /// Key of the choice.
    pub key: Key,
    /// Absolute position of the token to draw.
    pub position: usize,
}

/// Buffers of draws, reused from row to row.
#[derive(Debug, Default)]
pub struct DrawScratch {
    /// A row after bias, penalties, temperature and truncation.
    processed: Vec<f32>,
    /// Probability mass of blocks of a row.
    blocks: Vec<f64>,
}

/// Draws from `logits` (`[vocab]` f32).
///
/// # Errors
/// [`NonFinite`].
pub fn draw(logits: &[f32], scratch: &mut DrawScratch, context: Context<'_>) -> Result<Draw, NonFinite> {
    let params = context.params;
    let raw_normalizer = finite(logsumexp(logits))?;
    let (row, normalizer, threshold) = if untouched(context) {
        (logits, raw_normalizer, None)
    } else {
        let threshold = process(logits, &mut scratch.processed, context);
        let row = scratch.processed.as_slice();
        (row, finite(logsumexp(row))?, threshold)
    };
    let max = maximum(row);
    let token = if params.temperature == 0.0 {
        row.iter().position(|logit| *logit == max).unwrap_or(0)
    } else {
        inverse_cdf(row, max, context.key.uniform(context.position), &mut scratch.blocks)
    };
    Ok(Draw {
        token: u32::try_from(token).expect("vocabularies fit u32"),
        logprob: row[token] - normalizer,
        raw_logprob: logits[token] - raw_normalizer,
        threshold,
        top: top(row, normalizer, params.top_logprobs as usize),
    })
}

fn finite(normalizer: f32) -> Result<f32, NonFinite> {
    if normalizer.is_finite() {
        Ok(normalizer)
    } else {
        Err(NonFinite)
    }
}

/// Whether the draw is from the raw logits.
fn untouched(context: Context<'_>) -> bool {
    let params = context.params;
    params.temperature == 1.0
        && params.logit_bias.is_empty()
        && params.repetition_penalty == 1.0
        && params.presence_penalty == 0.0
        && params.frequency_penalty == 0.0
        && context.suppressed.is_empty()
        && context.allowed.is_none()
        && !truncate::cuts(params)
}

/// Bias, penalties, suppression, temperature and truncation into `row`; returns below which logits were cut, if any were.
fn process(logits: &[f32], row: &mut Vec<f32>, context: Context<'_>) -> Option<f32> {
    let params = context.params;
    row.clear();
    row.extend_from_slice(logits);
    adjust(row, context);
    if params.temperature == 0.0 {
        return None;
    }
    if params.temperature != 1.0 {
        row.iter_mut().for_each(|logit| *logit /= params.temperature);
    }
    let threshold = truncate::threshold(row, params)?;
    row.iter_mut()
        .filter(|logit| **logit < threshold)
        .for_each(|logit| *logit = f32::NEG_INFINITY);
    Some(threshold)
}

/// What a row says of a known token.
#[derive(Debug, Clone, PartialEq)]
pub struct Scored {
    /// Logprob, nats.
    pub logprob: f32,
    /// Entropy of the row, nats, if asked for.
    pub entropy: Option<f32>,
    /// Alternatives, best first.
    pub top: Vec<TopLogprob>,
}

/// Scores a known token: at temperature 1 under the model's own logits, at another under the logits divided by it, as a
/// draw without penalties and truncation would.
///
/// # Errors
/// [`NonFinite`].
pub fn score(
    logits: &[f32],
    scratch: &mut DrawScratch,
    token: u32,
    (temperature, entropies, alternatives): (f32, bool, usize),
) -> Result<Scored, NonFinite> {
    let row = if temperature == 1.0 {
        logits
    } else {
        scratch.processed.clear();
        scratch.processed.extend(logits.iter().map(|logit| logit / temperature));
        scratch.processed.as_slice()
    };
    let normalizer = finite(logsumexp(row))?;
    Ok(Scored {
        logprob: row[token as usize] - normalizer,
        entropy: entropies.then(|| entropy(row, normalizer)),
        top: top(row, normalizer, alternatives),
    })
}

/// Margin between the two best tokens and entropy of a row of logits, nats.
///
/// # Errors
/// [`NonFinite`].
pub fn observe(logits: &[f32]) -> Result<(f32, f32), NonFinite> {
    let normalizer = finite(logsumexp(logits))?;
    let margin = match top(logits, normalizer, 2)[..] {
        [best, second] => best.logprob - second.logprob,
        _ => f32::INFINITY,
    };
    Ok((margin, entropy(logits, normalizer)))
}

/// Bias, penalties, suppression and the mask of a grammar, in place.
fn adjust(logits: &mut [f32], context: Context<'_>) {
    let params = context.params;
    for &(token, bias) in &params.logit_bias {
        logits[token as usize] += bias;
    }
    if params.repetition_penalty != 1.0 {
        for token in context.history.seen() {
            let logit = &mut logits[token as usize];
            *logit = if *logit > 0.0 {
                *logit / params.repetition_penalty
            } else {
                *logit * params.repetition_penalty
            };
        }
    }
    if params.presence_penalty != 0.0 || params.frequency_penalty != 0.0 {
        for (token, count) in context.history.sampled() {
            logits[token as usize] -= params.presence_penalty + params.frequency_penalty * count as f32;
        }
    }
    let suppressed = match context.allowed {
        // Where the grammar leaves nothing but an end, the end must come.
        Some(allowed) if mask::only(allowed, context.suppressed) => &[][..],
        _ => context.suppressed,
    };
    for &token in suppressed {
        logits[token as usize] = f32::NEG_INFINITY;
    }
    if let Some(allowed) = context.allowed {
        mask::apply(allowed, logits);
    }
}

/// The `count` largest logprobs, best first, ties by id.
fn top(row: &[f32], normalizer: f32, count: usize) -> Vec<TopLogprob> {
    if count == 0 {
        return Vec::new();
    }
    let mut best: Vec<(f32, u32)> = Vec::with_capacity(count + 1);
    for (token, &logit) in (0u32..).zip(row) {
        if best.len() == count && best[count - 1].0 >= logit {
            continue;
        }
        let at = best.partition_point(|(other, _)| *other >= logit);
        best.insert(at, (logit, token));
        best.truncate(count);
    }
    best.retain(|(logit, _)| logit.is_finite());
    best.into_iter()
        .map(|(logit, token)| TopLogprob {
            token,
            logprob: logit - normalizer,
        })
        .collect()
}
