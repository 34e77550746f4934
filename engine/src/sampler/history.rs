//! Which tokens a sequence contains, for the penalties; kept only if a penalty is on.

use std::collections::{BTreeMap, BTreeSet};

use crate::request::SamplingParams;

/// Tokens of a sequence as the penalties see them.
#[derive(Debug, Clone, Default)]
pub struct History {
    prompt: BTreeSet<u32>,
    sampled: BTreeMap<u32, u32>,
    kept: bool,
}

impl History {
    /// The history of a sequence that starts with `prompt`; empty and free if `params` has no penalties.
    #[must_use]
    pub fn new(params: &SamplingParams, prompt: &[u32]) -> Self {
        let repetition = params.repetition_penalty != 1.0;
        let kept = repetition || params.presence_penalty != 0.0 || params.frequency_penalty != 0.0;
        let prompt = if repetition {
            prompt.iter().copied().collect()
        } else {
            BTreeSet::new()
        };
        Self {
            prompt,
            sampled: BTreeMap::new(),
            kept,
        }
    }

    /// Notes a sampled token.
    pub fn push(&mut self, token: u32) {
        if self.kept {
            *self.sampled.entry(token).or_default() += 1;
        }
    }

    /// Sampled tokens with their counts.
    pub fn sampled(&self) -> impl Iterator<Item = (u32, u32)> + '_ {
        self.sampled.iter().map(|(token, count)| (*token, *count))
    }

    /// Tokens of prompt or output, each once.
    pub fn seen(&self) -> impl Iterator<Item = u32> + '_ {
        let fresh = self.sampled.keys().filter(|token| !self.prompt.contains(token));
        self.prompt.iter().chain(fresh).copied()
    }
}
