//! Scoring of given tokens: prompts with `prompt_logprobs`, responses with `score`.

use crate::request::PromptLogprob;
use crate::sampler::Scored;

/// The scored tokens of a sequence so far.
#[derive(Debug, Clone)]
pub(super) struct Scoring {
    /// First token scored.
    from: usize,
    /// One past the last.
    end: usize,
    /// Temperature of the distribution; 1 for prompts.
    pub(super) temperature: f32,
    /// Entropies are wanted.
    pub(super) entropies: bool,
    /// Alternatives wanted per token.
    pub(super) alternatives: usize,
    done: Vec<PromptLogprob>,
}

impl Scoring {
    /// Nothing scored yet of `tokens[from..]`, the prompt's. The first token of a sequence has no logprob.
    pub(super) fn new(tokens: &[u32], from: usize, alternatives: u32) -> Self {
        let first = (from == 0).then(|| PromptLogprob {
            token: tokens[0],
            logprob: None,
            top: Vec::new(),
            entropy: None,
        });
        Self {
            from,
            end: tokens.len(),
            temperature: 1.0,
            entropies: false,
            alternatives: alternatives as usize,
            done: first.into_iter().collect(),
        }
    }

    /// The same at a temperature of its own, with entropies.
    pub(super) fn with_entropies(self, temperature: f32) -> Self {
        Self {
            temperature,
            entropies: true,
            ..self
        }
    }

    /// Whether the row at `position` scores a token that has no score yet. After a preemption rows come again.
    pub(super) fn wants(&self, position: usize) -> bool {
        (self.from + self.done.len()..self.end).contains(&(position + 1))
    }

    /// Takes the score of `token`, given by the row at `position`.
    pub(super) fn push(&mut self, position: usize, token: u32, scored: Scored) {
        if position + 1 == self.from + self.done.len() && position + 1 < self.end {
            self.done.push(PromptLogprob {
                token,
                logprob: Some(scored.logprob),
                top: scored.top,
                entropy: scored.entropy,
            });
        }
    }

    /// Index in the response of the token scored last; `None` where a prompt is scored beside sampling.
    pub(super) fn newest(&self) -> Option<usize> {
        self.done.len().checked_sub(1).filter(|_| self.entropies)
    }

    /// All scores, once they are complete.
    pub(super) fn complete(&mut self) -> Option<Vec<PromptLogprob>> {
        (self.from + self.done.len() == self.end).then(|| std::mem::take(&mut self.done))
    }
}
