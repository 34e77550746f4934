//! Ranges of the shared sampling fields.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use svs_engine::SamplingParams;
use svs_engine::request::{MAX_STOP_BYTES, MAX_STOPS};
use svs_openapi::SamplingFields;

use crate::error::{ApiError, short};

/// Alternatives per token that a request may ask for.
pub(super) const MAX_TOP_LOGPROBS: u32 = 20;
const MAX_STOP_TOKENS: usize = 256;
const MAX_BIASES: usize = 1024;

/// A number within `range`, or `default` if absent.
fn number(field: &str, value: Option<f64>, range: RangeInclusive<f64>, default: f32) -> Result<f32, ApiError> {
    let Some(value) = value else { return Ok(default) };
    if range.contains(&value) {
        // A finite wire number within the small ranges used here fits f32.
        return Ok(value as f32);
    }
    Err(ApiError::value(
        field,
        format!(
            "{} is out of range; allowed is {} to {}",
            short(value),
            range.start(),
            range.end()
        ),
    ))
}

/// As [`number`], with the lower bound excluded.
fn positive(field: &str, value: Option<f64>, upper: f64, default: f32) -> Result<f32, ApiError> {
    match value {
        // The comparison in f32: a number that vanishes there would be the excluded bound.
        Some(value) if (value as f32) <= 0.0 => Err(ApiError::value(
            field,
            format!("{} is out of range; allowed is above 0 to {upper}", short(value)),
        )),
        value => number(field, value, 0.0..=upper, default),
    }
}

/// A count of alternatives within 0..=20.
pub(super) fn alternatives(field: &str, value: Option<u32>) -> Result<Option<u32>, ApiError> {
    match value {
        Some(count) if count > MAX_TOP_LOGPROBS => Err(ApiError::value(
            field,
            format!("{count} is out of range; allowed is 0 to {MAX_TOP_LOGPROBS}"),
        )),
        value => Ok(value),
    }
}

/// Checks the shared fields and turns them into sampling parameters. `max_tokens` is resolved by the caller, which
/// knows the prompt; logprob counts too.
pub(super) fn sampling(fields: &mut SamplingFields, vocab_size: usize) -> Result<SamplingParams, ApiError> {
    Ok(SamplingParams {
        temperature: number("temperature", fields.temperature, 0.0..=2.0, 1.0)?,
        top_p: positive("top_p", fields.top_p, 1.0, 1.0)?,
        top_k: top_k(fields.top_k)?,
        min_p: number("min_p", fields.min_p, 0.0..=1.0, 0.0)?,
        presence_penalty: number("presence_penalty", fields.presence_penalty, -2.0..=2.0, 0.0)?,
        frequency_penalty: number("frequency_penalty", fields.frequency_penalty, -2.0..=2.0, 0.0)?,
        repetition_penalty: number("repetition_penalty", fields.repetition_penalty, 0.01..=100.0, 1.0)?,
        seed: fields.seed.map(|seed| seed.0),
        min_tokens: fields.min_tokens.unwrap_or(0),
        stop: stops(fields)?,
        stop_token_ids: stop_tokens(fields, vocab_size)?,
        include_stop_str_in_output: fields.include_stop_str_in_output.unwrap_or(false),
        ignore_eos: fields.ignore_eos.unwrap_or(false),
        logit_bias: biases(fields.logit_bias.take().unwrap_or_default(), vocab_size)?,
        prompt_logprobs: alternatives("prompt_logprobs", fields.prompt_logprobs)?,
        ..SamplingParams::default()
    })
}

fn top_k(value: Option<i64>) -> Result<Option<u32>, ApiError> {
    match value {
        None | Some(-1 | 0) => Ok(None),
        Some(k) => {
            let message = || {
                format!(
                    "{k} is out of range; allowed is -1 or 0 (all tokens) and 1 to {}",
                    u32::MAX
                )
            };
            u32::try_from(k)
                .map(Some)
                .map_err(|_| ApiError::value("top_k", message()))
        }
    }
}

fn stops(fields: &mut SamplingFields) -> Result<Vec<String>, ApiError> {
    let stops: Vec<String> = fields.stop.take().map(Into::into).unwrap_or_default();
    if stops.len() > MAX_STOPS {
        return Err(ApiError::value(
            "stop",
            format!("{} strings; allowed are at most {MAX_STOPS}", stops.len()),
        ));
    }
    if stops.iter().any(|stop| stop.is_empty() || stop.len() > MAX_STOP_BYTES) {
        return Err(ApiError::value(
            "stop",
            format!("a stop string must have 1 to {MAX_STOP_BYTES} bytes"),
        ));
    }
    Ok(stops)
}

fn stop_tokens(fields: &mut SamplingFields, vocab_size: usize) -> Result<Vec<u32>, ApiError> {
    let tokens = fields.stop_token_ids.take().unwrap_or_default();
    if tokens.len() > MAX_STOP_TOKENS {
        let message = format!("{} tokens; allowed are at most {MAX_STOP_TOKENS}", tokens.len());
        return Err(ApiError::value("stop_token_ids", message));
    }
    match tokens.iter().find(|token| **token as usize >= vocab_size) {
        Some(token) => Err(ApiError::value("stop_token_ids", outside(*token, vocab_size))),
        None => Ok(tokens),
    }
}

fn biases(wanted: BTreeMap<String, f64>, vocab_size: usize) -> Result<Vec<(u32, f32)>, ApiError> {
    if wanted.len() > MAX_BIASES {
        let message = format!("{} entries; allowed are at most {MAX_BIASES}", wanted.len());
        return Err(ApiError::value("logit_bias", message));
    }
    let bias = |(key, value): (String, f64)| {
        let field = format!("logit_bias.{key}");
        let token = key
            .parse::<u32>()
            .map_err(|_| ApiError::value(&field, "the key must be a token id"))?;
        if token as usize >= vocab_size {
            return Err(ApiError::value(&field, outside(token, vocab_size)));
        }
        Ok((token, number(&field, Some(value), -100.0..=100.0, 0.0)?))
    };
    wanted.into_iter().map(bias).collect()
}

/// The refusal of a token id.
pub(super) fn outside(token: u32, vocab_size: usize) -> String {
    format!("token id {token} is outside the vocabulary of {vocab_size}")
}
