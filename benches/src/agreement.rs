//! No speed is reported for wrong output: greedy tokens and logprobs of svs and llama.cpp, both computing in f32.

use anyhow::{Context, ensure};
use serde::Serialize;

use crate::client::{Choice, Prompt, Sampling, choices};
use crate::contestants::{Contestant, Weights};
use crate::layout::Layout;
use crate::servers::Server;

/// Texts that are continued, none of them so far that the model ends: svs draws an end that is to be ignored and goes on,
/// llama-server never draws it.
const PROMPTS: [&str; 6] = [
    "The capital of France is",
    "Question: Tom has 12 apples and buys 7 more. How many apples does he have?\nAnswer:",
    "fn main() {\n    let numbers = [1, 2, 3];\n",
    "In the year 1969, two people walked on the moon for the first time. They",
    "Once upon a time, there was a little girl who",
    "def fibonacci(n):\n",
];
/// Tokens that each is continued by.
const TOKENS: usize = 16;
/// Largest difference of a token's logprob, nats.
const LARGEST_DIFFERENCE: f64 = 1e-3;
/// Least share of the tokens that must be the same. Where two tokens are equally likely, rounding decides, and what
/// follows is another text.
const LEAST_SAME: f64 = 0.9;

/// How well they agree.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Agreement {
    /// Greedy tokens compared.
    pub tokens: usize,
    /// Tokens that are the same, up to the first that is not.
    pub same: usize,
    /// Largest difference of the logprobs of the same tokens, nats.
    pub largest_difference: f64,
}

/// Lets both continue some texts.
///
/// # Errors
/// A server that does not start, or answers that differ by more than rounding can explain.
pub fn check(layout: &Layout) -> anyhow::Result<Agreement> {
    let start = |contestant| Server::start(contestant, 1, true, layout);
    let ours = start(Contestant::Svs(Weights::F32))?;
    let theirs = start(Contestant::LlamaCpp(Weights::F32, false))?;
    let mut agreement = Agreement {
        tokens: 0,
        same: 0,
        largest_difference: 0.0,
    };
    for prompt in PROMPTS {
        let greedy = |server: &Server| -> anyhow::Result<Choice> {
            let sampling = Sampling {
                samples: 1,
                max_tokens: TOKENS,
                temperature: 0.0,
                seed: 0,
            };
            let answer = server.client.complete(&Prompt::Text(prompt.to_owned()), sampling)?;
            choices(&answer, TOKENS)?.pop().context("no choice")
        };
        agreement.add(&greedy(&ours)?, &greedy(&theirs)?)?;
    }
    let Agreement {
        tokens,
        same,
        largest_difference,
    } = agreement;
    ensure!(
        same as f64 >= LEAST_SAME * tokens as f64,
        "only {same} of {tokens} greedy tokens of svs and llama.cpp in f32 are the same"
    );
    ensure!(
        largest_difference <= LARGEST_DIFFERENCE,
        "logprobs of svs and llama.cpp in f32 differ by {largest_difference:.1e} nats"
    );
    Ok(agreement)
}

impl Agreement {
    /// Compares up to the first token that differs.
    fn add(&mut self, ours: &Choice, theirs: &Choice) -> anyhow::Result<()> {
        let (Some(our_ids), Some(their_ids)) = (&ours.ids, &theirs.ids) else {
            anyhow::bail!("an answer without token ids");
        };
        self.tokens += our_ids.len();
        let same = our_ids.iter().zip(their_ids).take_while(|(a, b)| a == b).count();
        self.same += same;
        for (a, b) in ours.logprobs.iter().zip(&theirs.logprobs).take(same) {
            self.largest_difference = self.largest_difference.max((a - b).abs());
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "agreement_tests.rs"]
mod tests;
