//! Group rollouts over HTTP: every sample of every problem asked for at once, timed until the last answer is there.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context, ensure};
use serde_json::Value;

use crate::client::{Choice, Client, Prompt, Sampling, choices};
use crate::measure::Figures;

/// Problems at once.
const PROBLEMS: usize = 8;
/// Samples of each.
const SAMPLES: usize = 8;
/// Sequences at once.
pub const SEQUENCES: usize = PROBLEMS * SAMPLES;
/// New tokens of each sample.
const MAX_TOKENS: usize = 128;
/// Largest share of tokens that may lack a logprob: llama-server leaves out those of tokens that end inside a character,
/// and what follows a prompt of random tokens has many such.
const MOST_MISSING: f64 = 0.3;
/// Length of a synthetic prompt.
const PROMPT_TOKENS: usize = 64;
/// Synthetic prompts hold token ids from here on: the first ones are often special.
const FIRST_TOKEN: u64 = 256;
/// So many token ids, which every vocabulary has.
const TOKEN_IDS: u64 = 30_000;

/// Where prompts come from.
#[derive(Debug, Clone)]
pub enum Prompts {
    /// Random tokens, 64 to a prompt.
    Synthetic,
    /// Texts, used in order.
    Texts(Vec<String>),
}

impl Prompts {
    /// Reads one prompt per line: plain text, or JSON objects with `prompt`, `question` or `problem`.
    ///
    /// # Errors
    /// A file that cannot be read, or too short for so many rounds of fresh prompts.
    pub fn read(path: &Path, rounds: usize) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
        let lines = text.lines().filter(|line| !line.trim().is_empty());
        let texts: Vec<String> = lines.map(prompt_of_line).collect();
        ensure!(
            texts.len() >= PROBLEMS * rounds,
            "{} has {} prompts; {rounds} rounds of fresh ones need {}",
            path.display(),
            texts.len(),
            PROBLEMS * rounds
        );
        Ok(Self::Texts(texts))
    }

    /// The prompts of a round; no two rounds share one, so that no server finds one in its cache.
    fn of_round(&self, round: usize) -> Vec<Prompt> {
        let numbers = (0..PROBLEMS).map(|problem| round * PROBLEMS + problem);
        numbers
            .map(|number| match self {
                Self::Texts(texts) => Prompt::Text(texts[number % texts.len()].clone()),
                Self::Synthetic => Prompt::Tokens(synthetic(number)),
            })
            .collect()
    }
}

fn prompt_of_line(line: &str) -> String {
    let object: Option<Value> = serde_json::from_str(line).ok().filter(Value::is_object);
    let field = |object: Value| {
        let mut names = ["prompt", "question", "problem"].into_iter();
        names.find_map(|name| object[name].as_str().map(str::to_owned))
    };
    object.and_then(field).unwrap_or_else(|| line.to_owned())
}

/// Random tokens of a prompt, the same in every run.
///
/// # Source
/// Steele, Lea, Flood: Fast splittable pseudorandom number generators (2014), the finaliser of SplitMix64.
fn synthetic(number: usize) -> Vec<u32> {
    let draw = |at: usize| {
        let mut z = (((number as u64) << 32) | at as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    };
    let token = |at| FIRST_TOKEN + draw(at) % TOKEN_IDS;
    (0..PROMPT_TOKENS).map(|at| token(at) as u32).collect()
}

/// How a server is asked for a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grouping {
    /// One request with `n` samples.
    OneRequest,
    /// A request for each sample.
    RequestPerSample,
}

impl Grouping {
    /// Tries `n` on a server, which warms it up too.
    ///
    /// # Errors
    /// A server that does not answer single requests either.
    pub fn of(client: &Client) -> anyhow::Result<Self> {
        let sampling = Sampling {
            samples: SAMPLES,
            max_tokens: 4,
            temperature: 1.0,
            seed: 0,
        };
        let prompt = Prompt::Tokens(synthetic(usize::from(u16::MAX)));
        let answered = |sampling: Sampling| -> anyhow::Result<Vec<Choice>> {
            choices(&client.complete(&prompt, sampling)?, sampling.max_tokens)
        };
        if answered(sampling).is_ok_and(|choices| choices.len() == SAMPLES) {
            return Ok(Self::OneRequest);
        }
        let alone = answered(Sampling { samples: 1, ..sampling })?;
        ensure!(alone.len() == 1, "{} choices in the answer to n = 1", alone.len());
        Ok(Self::RequestPerSample)
    }
}

/// Runs a round; new tokens per second from the first request to the last answer.
///
/// # Errors
/// A refused request, or an answer without exactly the tokens and logprobs asked for.
pub fn run(client: &Client, grouping: Grouping, prompts: &Prompts, round: usize) -> anyhow::Result<Figures> {
    let (requests, samples) = match grouping {
        Grouping::OneRequest => (1, SAMPLES),
        Grouping::RequestPerSample => (SAMPLES, 1),
    };
    let prompts = prompts.of_round(round);
    let began = Instant::now();
    let answers: Vec<anyhow::Result<String>> = std::thread::scope(|scope| {
        let mut threads = Vec::new();
        for prompt in &prompts {
            for request in 0..requests {
                let sampling = Sampling {
                    samples,
                    max_tokens: MAX_TOKENS,
                    temperature: 1.0,
                    seed: (round * SAMPLES + request) as u64,
                };
                threads.push(scope.spawn(move || client.complete(prompt, sampling)));
            }
        }
        let joined = threads.into_iter().map(std::thread::ScopedJoinHandle::join);
        joined
            .map(|answer| answer.unwrap_or_else(|_| Err(anyhow::anyhow!("a client thread panicked"))))
            .collect()
    });
    let seconds = began.elapsed().as_secs_f64();
    let mut logprobs = 0;
    for answer in answers {
        let choices = choices(&answer?, MAX_TOKENS)?;
        ensure!(
            choices.len() == samples,
            "{} choices instead of {samples}",
            choices.len()
        );
        logprobs += choices.iter().map(|choice| choice.logprobs.len()).sum::<usize>();
    }
    let tokens = SEQUENCES * MAX_TOKENS;
    let missing_logprobs = tokens.saturating_sub(logprobs);
    ensure!(
        missing_logprobs as f64 <= MOST_MISSING * tokens as f64,
        "{missing_logprobs} of {tokens} tokens came without a logprob"
    );
    Ok(Figures {
        missing_logprobs,
        ..Figures::of_peer(tokens as f64 / seconds)
    })
}

#[cfg(test)]
#[path = "rollouts_tests.rs"]
mod tests;
