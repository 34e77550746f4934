//! What a client does, turn after turn, as its seed says.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use serde_json::{Value, json};
use svs_engine::sampler::philox4x32_10;

use super::malformed;
use super::tally::Tally;
use crate::events;

/// Longest time of an answer; a request that takes longer counts as unanswered.
const PATIENCE: Duration = Duration::from_secs(120);
/// Longest time for which a client keeps a connection that it does not use; much less than the server does, so that no request
/// is sent on one that the server is just closing.
const IDLE: Duration = Duration::from_secs(1);
/// Longest time that a refused client waits, whatever it is told.
const MOST_WAIT: Duration = Duration::from_secs(2);
/// Tokens of a slow reader's stream. Each event repeats all before it, so that the whole is megabytes: more than sockets hold.
const SLOW_TOKENS: u64 = 200;
/// A slow reader's pause between events, milliseconds.
const SLOW_MS: u64 = 30;

/// Rows of the report: what may come of a turn.
pub(super) const STREAMED: &str = "streams read to their end";
pub(super) const WHOLE: &str = "answers in one piece";
pub(super) const SLOW: &str = "streams read slowly to their end";
pub(super) const LEFT: &str = "streams left by the client";
pub(super) const REFUSED: &str = "refused as they should be (429, 503)";
pub(super) const MALFORMED: &str = "malformed requests refused";

/// What a turn draws on.
#[derive(Debug, Clone, Copy)]
struct Draw {
    act: u32,
    size: u32,
    leave: u32,
}

/// A client's life.
pub(super) fn run(url: &str, seed: u64, tally: &Tally, ended: &AtomicBool) {
    let config = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .max_idle_age(IDLE)
        .timeout_global(Some(PATIENCE));
    let agent = config.build().new_agent();
    let key = [(seed & 0xffff_ffff) as u32, (seed >> 32) as u32];
    for turn in 0.. {
        if ended.load(Ordering::Relaxed) {
            return;
        }
        let [act, size, leave, _] = philox4x32_10([turn, 0, 0, 0], key);
        let draw = Draw {
            act: act % 100,
            size,
            leave,
        };
        match take_turn(&agent, url, draw, tally) {
            Ok(outcome) => tally.count(outcome),
            Err(error) => tally.count_error(&format!("{error:#}")),
        }
    }
}

fn take_turn(agent: &ureq::Agent, url: &str, draw: Draw, tally: &Tally) -> anyhow::Result<&'static str> {
    match draw.act {
        0..3 => slow(agent, url, draw, tally),
        3..10 => whole(agent, url, draw, tally),
        10..25 => stream(agent, url, draw, Some(draw.leave % 24), tally),
        25..35 => {
            let kind = malformed::KINDS[draw.size as usize % malformed::KINDS.len()];
            malformed::send(url, &kind).with_context(|| format!("malformed ({})", kind.name))?;
            tally.count(kind.name);
            Ok(MALFORMED)
        }
        _ => stream(agent, url, draw, None, tally),
    }
}

/// A completion of so many tokens exactly, and the tokens of its prompt.
fn body(draw: Draw, stream: bool) -> (Value, u64) {
    let prompt: Vec<u32> = (0..4 + draw.size % 60)
        .map(|at| 10 + (draw.size / 64 + at) % 200)
        .collect();
    let length = prompt.len() as u64;
    let mut body = json!({
        "model": "any", "prompt": prompt, "max_tokens": 16 + draw.size % 81, "seed": draw.size,
        "n": 1 + u32::from(draw.leave.is_multiple_of(4)), "ignore_eos": true, "return_token_ids": true, "stream": stream,
    });
    if stream {
        body["stream_options"] = json!({"include_usage": true});
    }
    (body, length)
}

fn stream(
    agent: &ureq::Agent,
    url: &str,
    draw: Draw,
    leave_after: Option<u32>,
    tally: &Tally,
) -> anyhow::Result<&'static str> {
    let (body, prompt) = body(draw, true);
    let Some(response) = send(agent, &format!("{url}/v1/completions"), &body)? else {
        return Ok(REFUSED);
    };
    let _open = tally.open();
    let (mut events, mut tokens, mut usage) = (0, 0, Value::Null);
    let done = events::read(response, |event| {
        events += 1;
        tokens += sampled(event);
        if event["usage"].is_object() {
            usage = event["usage"].clone();
        }
        Ok(leave_after.is_none_or(|leave| events <= leave))
    })?;
    if !done {
        return Ok(LEFT);
    }
    check(&body, prompt, tokens, &usage)?;
    tally.add_tokens(tokens);
    Ok(STREAMED)
}

fn whole(agent: &ureq::Agent, url: &str, draw: Draw, tally: &Tally) -> anyhow::Result<&'static str> {
    let (body, prompt) = body(draw, false);
    let Some(mut response) = send(agent, &format!("{url}/v1/completions"), &body)? else {
        return Ok(REFUSED);
    };
    let answer: Value = serde_json::from_str(&response.body_mut().read_to_string()?)?;
    let tokens = sampled(&answer);
    check(&body, prompt, tokens, &answer["usage"])?;
    tally.add_tokens(tokens);
    Ok(WHOLE)
}

/// Reads a stream of megabytes, event by event, with pauses.
fn slow(agent: &ureq::Agent, url: &str, draw: Draw, tally: &Tally) -> anyhow::Result<&'static str> {
    let body = json!({
        "input_ids": [10, 11 + draw.size % 200], "stream": true, "return_logprob": true, "top_logprobs_num": 5,
        "sampling_params": {"max_new_tokens": SLOW_TOKENS, "ignore_eos": true, "temperature": 1.0},
    });
    let Some(response) = send(agent, &format!("{url}/generate"), &body)? else {
        return Ok(REFUSED);
    };
    let _open = tally.open();
    let mut tokens = 0;
    events::read(response, |event| {
        tokens = event["meta_info"]["completion_tokens"].as_u64().unwrap_or(0);
        std::thread::sleep(Duration::from_millis(SLOW_MS));
        Ok(true)
    })?;
    ensure!(tokens == SLOW_TOKENS, "{tokens} tokens instead of {SLOW_TOKENS}");
    tally.add_tokens(tokens);
    Ok(SLOW)
}

/// The response to a well-formed request, or none if it was refused as it may be.
fn send(agent: &ureq::Agent, url: &str, body: &Value) -> anyhow::Result<Option<ureq::http::Response<ureq::Body>>> {
    let request = agent.post(url).header("content-type", "application/json");
    let mut response = request
        .send(body.to_string().as_bytes())
        .with_context(|| format!("{url}: {body}"))?;
    match response.status().as_u16() {
        200 => Ok(Some(response)),
        status @ (429 | 503) => {
            let wait = response
                .headers()
                .get("retry-after")
                .and_then(|value| value.to_str().ok()?.parse().ok());
            let wait = wait.or((status == 503).then_some(1));
            let wait = wait.context("429 without Retry-After in whole seconds")?;
            let text = response.body_mut().read_to_string()?;
            let answer: Value = serde_json::from_str(&text).with_context(|| format!("{status}: {text}"))?;
            ensure!(answer["error"]["code"].is_string(), "{status} without a code: {text}");
            std::thread::sleep(Duration::from_secs(wait).min(MOST_WAIT));
            Ok(None)
        }
        status => bail!("{status}: {}", response.body_mut().read_to_string().unwrap_or_default()),
    }
}

/// Tokens that an answer or event has in all choices.
fn sampled(answer: &Value) -> u64 {
    let choices = answer["choices"].as_array().into_iter().flatten();
    choices
        .map(|choice| choice["token_ids"].as_array().map_or(0, Vec::len) as u64)
        .sum()
}

/// Every choice must be as long as asked, and the usage must say so.
fn check(body: &Value, prompt: u64, tokens: u64, usage: &Value) -> anyhow::Result<()> {
    let asked = body["n"].as_u64().unwrap_or(1) * body["max_tokens"].as_u64().unwrap_or(0);
    ensure!(tokens == asked, "{tokens} tokens instead of {asked}");
    let counts = ["prompt_tokens", "completion_tokens", "total_tokens"].map(|key| usage[key].as_u64());
    let wanted = [prompt, asked, prompt + asked].map(Some);
    ensure!(counts == wanted, "usage {usage} instead of {wanted:?}");
    Ok(())
}
