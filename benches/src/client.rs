//! A client of the OpenAI API's text completions, the same for every server.

use std::time::Duration;

use anyhow::{Context, bail, ensure};
use serde_json::{Value, json};

/// Most time for one answer.
const TIMEOUT: Duration = Duration::from_secs(600);
/// Largest answer.
const MOST_BYTES: u64 = 64 << 20;
/// Environment variable with the bearer token of servers that ask for one.
const API_KEY: &str = "OPENAI_API_KEY";

/// What to complete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Prompt {
    Text(String),
    Tokens(Vec<u32>),
}

/// How to sample.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sampling {
    pub samples: usize,
    pub max_tokens: usize,
    /// 0 is greedy.
    pub temperature: f64,
    pub seed: u64,
}

/// One sampled continuation.
#[derive(Debug, Clone, PartialEq)]
pub struct Choice {
    /// Token ids, of servers that tell them.
    pub ids: Option<Vec<u64>>,
    /// Of the sampled tokens, nats; a server may leave some out.
    pub logprobs: Vec<f64>,
}

/// Asks one server for completions.
#[derive(Debug, Clone)]
pub struct Client {
    agent: ureq::Agent,
    url: String,
    model: String,
    key: Option<String>,
}

impl Client {
    /// A client that has not asked for the model's name yet.
    pub fn new(url: &str) -> Self {
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(TIMEOUT))
            .http_status_as_error(false)
            .max_idle_connections_per_host(128)
            .build();
        Self {
            agent: config.into(),
            url: url.to_owned(),
            model: String::new(),
            key: std::env::var(API_KEY).ok(),
        }
    }

    /// A client that asks for the first model the server lists.
    ///
    /// # Errors
    /// A server that does not answer `GET /v1/models` with one.
    pub fn connect(url: &str) -> anyhow::Result<Self> {
        let mut client = Self::new(url);
        let request = client.agent.get(format!("{url}/v1/models"));
        let response = client.authorised(request).call();
        let mut response = response.with_context(|| format!("{url} does not answer"))?;
        let models: Value = response
            .body_mut()
            .read_json()
            .with_context(|| format!("{url}/v1/models"))?;
        let first = &models["data"][0]["id"];
        client.model = first
            .as_str()
            .with_context(|| format!("{url} lists no model"))?
            .to_owned();
        Ok(client)
    }

    /// Whether it is up and has its model.
    pub fn healthy(&self) -> bool {
        let answer = self.agent.get(format!("{}/health", self.url)).call();
        answer.is_ok_and(|answer| answer.status().is_success())
    }

    /// The answer as it came, so that reading it is not timed.
    ///
    /// # Errors
    /// A broken connection or a refusal, with the server's words.
    pub fn complete(&self, prompt: &Prompt, sampling: Sampling) -> anyhow::Result<String> {
        let body = json!({
            "model": self.model,
            "prompt": match prompt {
                Prompt::Text(text) => json!(text),
                Prompt::Tokens(tokens) => json!(tokens),
            },
            "n": sampling.samples,
            "max_tokens": sampling.max_tokens,
            "temperature": sampling.temperature,
            // Several servers truncate unless told otherwise.
            "top_p": 1.0,
            "top_k": -1,
            "min_p": 0.0,
            "seed": sampling.seed,
            "ignore_eos": true,
            "logprobs": 1,
            "return_token_ids": true,
        });
        let request = self.agent.post(format!("{}/v1/completions", self.url));
        let mut response = self.authorised(request).send_json(body)?;
        let text = response.body_mut().with_config().limit(MOST_BYTES).read_to_string()?;
        if !response.status().is_success() {
            bail!("{}: {text}", response.status());
        }
        Ok(text)
    }

    fn authorised<B>(&self, request: ureq::RequestBuilder<B>) -> ureq::RequestBuilder<B> {
        match &self.key {
            Some(key) => request.header("authorization", format!("Bearer {key}")),
            None => request,
        }
    }
}

/// The choices of an answer, each of exactly `max_tokens` tokens.
///
/// # Errors
/// A choice of another length, or logprobs that cannot be read.
pub fn choices(answer: &str, max_tokens: usize) -> anyhow::Result<Vec<Choice>> {
    let answer: Value = serde_json::from_str(answer).context("the answer is no JSON")?;
    let entries = answer["choices"].as_array().context("the answer has no choices")?;
    // llama-server counts the tokens of the first choice only.
    let counted = answer["usage"]["completion_tokens"].as_u64();
    let expected = [max_tokens, max_tokens * entries.len()];
    if let Some(counted) = counted.filter(|counted| !expected.iter().any(|tokens| *tokens as u64 == *counted)) {
        bail!("an answer of {counted} tokens, which is neither of {expected:?}");
    }
    let choices = entries.iter().map(|entry| choice(entry, max_tokens));
    choices.collect()
}

fn choice(entry: &Value, max_tokens: usize) -> anyhow::Result<Choice> {
    let ended = &entry["finish_reason"];
    ensure!(ended == "length", "a choice ended by {ended} instead of its length");
    let logprobs = &entry["logprobs"];
    // llama-server answers text completions with the logprobs of chat completions.
    let content = logprobs["content"].as_array();
    let listed: Vec<&Value> = match content {
        Some(tokens) => tokens.iter().map(|token| &token["logprob"]).collect(),
        None => logprobs["token_logprobs"].as_array().into_iter().flatten().collect(),
    };
    let logprobs: Option<Vec<f64>> = listed.into_iter().map(Value::as_f64).collect();
    let logprobs = logprobs.context("a token has no logprob")?;
    let present = logprobs.len();
    ensure!(
        (1..=max_tokens).contains(&present),
        "a choice has {present} logprobs for {max_tokens} tokens"
    );
    let told: Option<Vec<&Value>> = match content {
        Some(tokens) => tokens.iter().map(|token| token.get("id")).collect(),
        None => entry["token_ids"].as_array().map(|ids| ids.iter().collect()),
    };
    let ids = told.and_then(|ids| ids.into_iter().map(Value::as_u64).collect());
    Ok(Choice { ids, logprobs })
}

#[cfg(test)]
#[path = "client_tests.rs"]
mod tests;
