//! Refuses what cannot be done, by the wire name of the field, before it is queued.

use crate::config::EngineConfig;
use crate::error::EngineError;
use crate::request::{GenerateRequest, MAX_STOP_BYTES, MAX_STOPS};

/// Most alternatives reported per token.
const MAX_TOP_LOGPROBS: u32 = 20;

/// Checks every field of `request`.
///
/// # Errors
/// [`EngineError::InvalidParameter`], [`EngineError::ContextLengthExceeded`].
pub(super) fn validate(
    request: &GenerateRequest,
    config: &EngineConfig,
    vocab_size: usize,
    context_length: usize,
) -> Result<(), EngineError> {
    let sampling = &request.sampling;
    let ranges = [
        ("temperature", sampling.temperature, 0.0, 100.0),
        ("min_p", sampling.min_p, 0.0, 1.0),
        ("presence_penalty", sampling.presence_penalty, -2.0, 2.0),
        ("frequency_penalty", sampling.frequency_penalty, -2.0, 2.0),
    ];
    for (field, value, least, most) in ranges {
        if !(least..=most).contains(&value) {
            return Err(invalid(field, format!("{value} is not in {least}..={most}")));
        }
    }
    if sampling.temperature > 0.0 && sampling.temperature < 1e-3 {
        return Err(invalid(
            "temperature",
            format!("{} is neither 0 (greedy) nor at least 0.001", sampling.temperature),
        ));
    }
    if !(sampling.top_p > 0.0 && sampling.top_p <= 1.0) {
        return Err(invalid("top_p", format!("{} is not in (0, 1]", sampling.top_p)));
    }
    if !(sampling.repetition_penalty > 0.0 && sampling.repetition_penalty <= 100.0) {
        return Err(invalid(
            "repetition_penalty",
            format!("{} is not in (0, 100]", sampling.repetition_penalty),
        ));
    }
    if sampling.top_k == Some(0) {
        return Err(invalid("top_k", "0 keeps nothing; leave it out to keep all".into()));
    }
    if request.n == 0 || request.n as usize > config.max_choices {
        return Err(invalid(
            "n",
            format!("{} is not in 1..={}", request.n, config.max_choices),
        ));
    }
    let alternatives = [
        ("top_logprobs", Some(sampling.top_logprobs)),
        ("prompt_logprobs", sampling.prompt_logprobs),
    ];
    for (field, count) in alternatives {
        if count.is_some_and(|count| count > MAX_TOP_LOGPROBS) {
            return Err(invalid(field, format!("at most {MAX_TOP_LOGPROBS}")));
        }
    }
    if sampling.stop.len() > MAX_STOPS
        || sampling
            .stop
            .iter()
            .any(|stop| stop.is_empty() || stop.len() > MAX_STOP_BYTES)
    {
        return Err(invalid(
            "stop",
            format!("at most {MAX_STOPS} strings of 1 to {MAX_STOP_BYTES} bytes"),
        ));
    }
    if sampling.min_tokens > sampling.max_tokens {
        return Err(invalid(
            "min_tokens",
            format!("{} exceeds max_tokens {}", sampling.min_tokens, sampling.max_tokens),
        ));
    }
    if sampling.guide.is_some() && sampling.ignore_eos {
        return Err(invalid(
            "ignore_eos",
            "a guided text ends where its grammar does".into(),
        ));
    }
    validate_control(request, config)?;
    validate_tokens(request, vocab_size)?;
    let prompt_tokens = request.prompt.len();
    let max_tokens = sampling.max_tokens as usize;
    if prompt_tokens + max_tokens > context_length {
        return Err(EngineError::ContextLengthExceeded {
            prompt_tokens,
            max_tokens,
            context_length,
        });
    }
    if !request.resume.is_empty() && (request.n != 1 || request.resume.len() >= max_tokens) {
        return Err(invalid("resume", "needs n = 1 and fewer tokens than max_tokens".into()));
    }
    Ok(())
}

fn validate_control(request: &GenerateRequest, config: &EngineConfig) -> Result<(), EngineError> {
    let Some(control) = &request.control else {
        return Ok(());
    };
    if control.every == 0 {
        return Err(invalid("control.every", "must be at least 1".into()));
    }
    let choices = u64::from(request.n) * (1 + u64::from(control.forks));
    if choices > config.max_choices as u64 {
        let reason = format!(
            "{} choices with {} forks each are {choices}; allowed are {}",
            request.n, control.forks, config.max_choices
        );
        return Err(invalid("control.forks", reason));
    }
    Ok(())
}

fn validate_tokens(request: &GenerateRequest, vocab_size: usize) -> Result<(), EngineError> {
    if request.prompt.is_empty() {
        return Err(invalid("prompt", "is empty".into()));
    }
    let biased = request.sampling.logit_bias.iter().map(|(token, _)| *token);
    let lists: [(&'static str, Vec<u32>); 4] = [
        ("prompt", request.prompt.clone()),
        ("resume", request.resume.clone()),
        ("stop_token_ids", request.sampling.stop_token_ids.clone()),
        ("logit_bias", biased.collect()),
    ];
    for (field, tokens) in lists {
        if let Some(token) = tokens.iter().find(|token| **token as usize >= vocab_size) {
            return Err(invalid(
                field,
                format!("token id {token} is outside the vocabulary of {vocab_size}"),
            ));
        }
    }
    if let Some((_, bias)) = request
        .sampling
        .logit_bias
        .iter()
        .find(|(_, bias)| !(-100.0..=100.0).contains(bias))
    {
        return Err(invalid("logit_bias", format!("{bias} is not in -100..=100")));
    }
    Ok(())
}

pub(super) fn invalid(field: &'static str, reason: String) -> EngineError {
    EngineError::InvalidParameter { field, reason }
}
