//! What the clients do: whole streams, streams that are left in the middle, answers in one piece, and what [`super::others`]
//! has.

use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use serde_json::Value;
use svs_engine::sampler::philox4x32_10;

use super::answer::Choice;
use super::asked::{Asked, REQUESTS};
use super::{Shared, others};
use crate::events;

/// Longest time of an answer.
const PATIENCE: Duration = Duration::from_secs(120);

/// Rows of the report.
pub(super) const LEFT: &str = "left by the client";
const STREAMED: &str = "streams";
const WHOLE: &str = "answers in one piece";
pub(super) const ANSWERS: [&str; 6] = [
    STREAMED,
    WHOLE,
    others::GUIDED,
    others::SCORED,
    others::PROMPTS,
    others::ADAPTED,
];

/// A client's connection and what it shares with the others.
pub(super) struct Client<'a> {
    agent: ureq::Agent,
    url: &'a str,
    pub(super) shared: &'a Shared,
}

/// A client's life.
pub(super) fn run(url: &str, seed: u64, shared: &Shared) {
    let config = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(PATIENCE));
    let agent = config.build().new_agent();
    let client = Client { agent, url, shared };
    let key = [(seed & 0xffff_ffff) as u32, (seed >> 32) as u32];
    for turn in 0.. {
        shared.gate.pass(&shared.ended);
        if shared.ended.load(Ordering::Relaxed) {
            return;
        }
        let [request, act, leave, _] = philox4x32_10([turn, 0, 0, 0], key);
        let asked = Asked(u64::from(request) % REQUESTS);
        match client.take_turn(asked, act % 100, leave as usize % 24) {
            Ok(outcome) => shared.outcomes.count(outcome),
            Err(error) => shared.outcomes.count_error(&error),
        }
    }
}

impl Client<'_> {
    fn take_turn(&self, asked: Asked, act: u32, leave: usize) -> anyhow::Result<&'static str> {
        match act {
            0..50 => self.stream(asked, None),
            50..70 => self.stream(asked, Some(leave)),
            70..80 => self.whole(asked),
            80..87 => others::guided(self, asked).context("guided"),
            87..92 => others::score(self, asked).context("a score"),
            92..95 => others::prompt(self, asked).context("a prompt's logprobs"),
            _ => others::adapted(self, asked).context("an adapter"),
        }
    }

    /// The newest version that the controller knows to be served.
    pub(super) fn published(&self) -> u64 {
        self.shared.published.load(Ordering::SeqCst)
    }

    fn send(&self, path: &str, body: &Value) -> anyhow::Result<ureq::http::Response<ureq::Body>> {
        let request = self
            .agent
            .post(format!("{}{path}", self.url))
            .header("content-type", "application/json");
        let mut response = request.send(body.to_string().as_bytes())?;
        if response.status() != 200 {
            let text = response.body_mut().read_to_string().unwrap_or_default();
            bail!("{}: {text}", response.status());
        }
        Ok(response)
    }

    /// An answer in one piece.
    pub(super) fn ask(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        let text = self.send(path, body)?.body_mut().read_to_string()?;
        serde_json::from_str(&text).context("no JSON")
    }

    /// Reads a stream, or leaves it after so many events.
    fn stream(&self, asked: Asked, leave_after: Option<usize>) -> anyhow::Result<&'static str> {
        let sent = self.published();
        let response = self.send("/v1/completions", &asked.body("any", true))?;
        let mut choices = vec![Choice::default(); asked.choices()];
        let mut seen = 0;
        let done = events::read(response, |event| {
            if leave_after.is_some_and(|leave| seen >= leave) {
                return Ok(false);
            }
            seen += 1;
            Choice::take(&mut choices, event)?;
            Ok(true)
        })?;
        if !done {
            return Ok(LEFT);
        }
        check_length(asked, &choices)?;
        self.shared.outcomes.check_policy(asked, sent, &choices)?;
        Ok(STREAMED)
    }

    fn whole(&self, asked: Asked) -> anyhow::Result<&'static str> {
        let sent = self.published();
        let choices = self.choices(asked, "any")?;
        self.shared.outcomes.check_policy(asked, sent, &choices)?;
        Ok(WHOLE)
    }

    /// All choices in one piece.
    pub(super) fn choices(&self, asked: Asked, model: &str) -> anyhow::Result<Vec<Choice>> {
        let answer = self.ask("/v1/completions", &asked.body(model, false))?;
        let mut choices = vec![Choice::default(); asked.choices()];
        Choice::take(&mut choices, &answer)?;
        check_length(asked, &choices)?;
        Ok(choices)
    }
}

/// Every choice must be as long as asked.
fn check_length(asked: Asked, choices: &[Choice]) -> anyhow::Result<()> {
    for choice in choices {
        let (got, wanted) = (choice.tokens.len(), asked.tokens());
        ensure!(
            got == wanted && choice.finish == "length",
            "{got} tokens instead of {wanted}, `{}`",
            choice.finish
        );
    }
    Ok(())
}
