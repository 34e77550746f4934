//! What the clients do: whole streams, streams that are left in the middle, answers in one piece. The same request must
//! always give the same tokens, whatever else runs and however often weights are swapped for equal ones.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use serde_json::{Value, json};
use svs_engine::sampler::philox4x32_10;

use crate::events;

/// Different requests.
const REQUESTS: u64 = 48;
/// Longest time of an answer.
const PATIENCE: Duration = Duration::from_secs(120);
/// Errors kept for the report.
const MOST_KEPT: usize = 20;
const MOST_TOKENS: u64 = 96;

/// What came of the requests.
#[derive(Debug, Default)]
pub(super) struct Outcomes {
    finished: AtomicU64,
    left: AtomicU64,
    errors: AtomicU64,
    kept: Mutex<Vec<String>>,
    /// Tokens of each request when it was first answered.
    first: Mutex<HashMap<u64, Vec<u64>>>,
}

impl Outcomes {
    pub(super) fn finished(&self) -> u64 {
        self.finished.load(Ordering::Relaxed)
    }

    pub(super) fn left(&self) -> u64 {
        self.left.load(Ordering::Relaxed)
    }

    pub(super) fn errors(&self) -> u64 {
        self.errors.load(Ordering::Relaxed)
    }

    /// The first errors in words.
    pub(super) fn examples(&self) -> Vec<String> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn count_error(&self, error: &anyhow::Error) {
        self.errors.fetch_add(1, Ordering::Relaxed);
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < MOST_KEPT {
            kept.push(format!("{error:#}"));
        }
    }

    /// Compares an answer with the first one to the same request.
    fn check(&self, request: u64, tokens: Vec<u64>) -> anyhow::Result<()> {
        let mut first = self.first.lock().unwrap_or_else(PoisonError::into_inner);
        let expected = first.entry(request).or_insert_with(|| tokens.clone());
        ensure!(
            *expected == tokens,
            "request {request} was answered with other tokens than before"
        );
        Ok(())
    }
}

/// A client's life.
pub(super) fn run(url: &str, seed: u64, outcomes: &Outcomes, ended: &AtomicBool) {
    let config = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(PATIENCE));
    let agent = config.build().new_agent();
    for turn in 0.. {
        if ended.load(Ordering::Relaxed) {
            return;
        }
        let key = [(seed & 0xffff_ffff) as u32, (seed >> 32) as u32];
        let [request, act, leave, _] = philox4x32_10([turn, 0, 0, 0], key);
        let request = u64::from(request) % REQUESTS;
        let answered = match act % 100 {
            0..60 => stream(&agent, url, request, None),
            60..85 => stream(&agent, url, request, Some(leave as usize % 24)),
            _ => whole(&agent, url, request),
        };
        match answered {
            Ok(None) => _ = outcomes.left.fetch_add(1, Ordering::Relaxed),
            Ok(Some(tokens)) => {
                outcomes.finished.fetch_add(1, Ordering::Relaxed);
                if let Err(error) = outcomes.check(request, tokens) {
                    outcomes.count_error(&error);
                }
            }
            Err(error) => outcomes.count_error(&error),
        }
    }
}

fn body(request: u64, stream: bool) -> Value {
    // A third of the requests has a long prompt in common.
    let shared = if request.is_multiple_of(3) {
        "Count on, please: one two three four five six seven eight. "
    } else {
        ""
    };
    json!({
        "model": "any",
        "prompt": format!("{shared}Number {request} is"),
        "seed": request,
        "n": 1 + request % 3,
        "max_tokens": 16 + request * 5 % (MOST_TOKENS - 16),
        "ignore_eos": true,
        "priority": (request % 4).saturating_sub(2) * 10,
        "stream": stream,
        "return_token_ids": true,
    })
}

fn send(agent: &ureq::Agent, url: &str, body: &Value) -> anyhow::Result<ureq::http::Response<ureq::Body>> {
    let request = agent
        .post(format!("{url}/v1/completions"))
        .header("content-type", "application/json");
    let mut response = request.send(body.to_string().as_bytes())?;
    if response.status() != 200 {
        let text = response.body_mut().read_to_string().unwrap_or_default();
        bail!("{}: {text}", response.status());
    }
    Ok(response)
}

/// Tokens of all choices, or none if the client left after so many events.
fn stream(
    agent: &ureq::Agent,
    url: &str,
    request: u64,
    leave_after: Option<usize>,
) -> anyhow::Result<Option<Vec<u64>>> {
    let body = body(request, true);
    let response = send(agent, url, &body)?;
    let mut choices: Vec<Vec<u64>> = vec![Vec::new(); body["n"].as_u64().unwrap_or(1) as usize];
    let mut seen = 0;
    let done = events::read(response, |event| {
        if leave_after.is_some_and(|leave| seen >= leave) {
            return Ok(false);
        }
        seen += 1;
        take(event, &mut choices)?;
        Ok(true)
    })?;
    done.then(|| checked(&body, choices)).transpose()
}

fn whole(agent: &ureq::Agent, url: &str, request: u64) -> anyhow::Result<Option<Vec<u64>>> {
    let body = body(request, false);
    let mut response = send(agent, url, &body)?;
    let answer: Value = serde_json::from_str(&response.body_mut().read_to_string()?)?;
    let mut choices: Vec<Vec<u64>> = vec![Vec::new(); body["n"].as_u64().unwrap_or(1) as usize];
    take(&answer, &mut choices)?;
    checked(&body, choices).map(Some)
}

/// Adds the token ids of an answer or event to their choices.
fn take(answer: &Value, choices: &mut [Vec<u64>]) -> anyhow::Result<()> {
    for choice in answer["choices"].as_array().into_iter().flatten() {
        let index = choice["index"].as_u64().context("a choice has no index")? as usize;
        let ids = choice["token_ids"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_u64);
        choices.get_mut(index).context("an index beyond n")?.extend(ids);
    }
    Ok(())
}

/// Every choice must be as long as asked.
fn checked(body: &Value, choices: Vec<Vec<u64>>) -> anyhow::Result<Vec<u64>> {
    for choice in &choices {
        let (got, asked) = (choice.len() as u64, body["max_tokens"].as_u64().unwrap_or(0));
        ensure!(got == asked, "{got} tokens instead of {asked}");
    }
    Ok(choices.concat())
}
