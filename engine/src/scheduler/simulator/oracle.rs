//! What the simulator knows of a sequence by its own accounting.

use super::scores::Scores;
use super::slots::{Reader, hash_of, pick};

/// Where a token comes from.
#[derive(Debug, Clone, Copy)]
pub(super) enum Source {
    /// Drawn by this key. A fork's first tokens were drawn by its parent's.
    Key(u64),
    /// A controller forced it.
    Forced(u32),
}

/// A sequence as its caller sees it.
#[derive(Debug, Clone)]
pub(super) struct Expected {
    pub(super) prompt: Vec<u32>,
    /// Prompt and tokens drawn.
    pub(super) context: Vec<u32>,
    /// Per token after the prompt: the version that it came under, and where from.
    pub(super) drawn: Vec<(u64, Source)>,
    /// Tokens to draw yet.
    pub(super) left: usize,
    /// What it draws by, besides the logits. Zero for all samples of a greedy request.
    pub(super) key: u64,
    pub(super) version: u64,
    /// A publish leaves it under its version.
    pub(super) pinned: bool,
    pub(super) priority: i32,
    pub(super) tenant: usize,
    /// What it scores of its prompt.
    pub(super) scores: Option<Scores>,
    /// Forks that its controller may still make.
    pub(super) forks_left: usize,
    /// First sample of its request.
    pub(super) group: u64,
    /// Its prompt is its own: it does not wait for another sample's.
    pub(super) forked: bool,
    pub(super) started: bool,
    pub(super) running: bool,
    /// A swap with `keep` came since its KV was last dropped, so it may read rows of several versions.
    pub(super) crossed: bool,
    /// Later arrivals that were seen to start ahead of it.
    pub(super) overtaken: u32,
    /// Steps since it last had rows, while it could have had.
    pub(super) idle: usize,
}

impl Expected {
    /// What it may read.
    pub(super) fn reader(&self) -> Reader {
        Reader {
            tenant: self.tenant,
            crossed: self.crossed,
        }
    }

    /// A publish replaces version `old`; true if this follows it.
    pub(super) fn follows(&self, old: u64) -> bool {
        self.version == old && !self.pinned
    }

    /// Takes the token drawn from a row's `hash`, after comparing it with the one that the context demands.
    pub(super) fn draw(&mut self, hash: u64, version: u64) -> Result<u32, String> {
        if version != self.version {
            return Err(format!("drew under version {version} instead of {}", self.version));
        }
        let drawn = pick(hash, self.key);
        let due = pick(hash_of(version, self.context.iter().copied()), self.key);
        if drawn != due {
            let at = self.context.len();
            return Err(format!("drew {drawn} instead of {due} at position {at}"));
        }
        self.take(drawn, version, Source::Key(self.key));
        Ok(drawn)
    }

    /// Takes a token that nobody drew.
    pub(super) fn force(&mut self, token: u32, version: u64) {
        self.take(token, version, Source::Forced(token));
    }

    fn take(&mut self, token: u32, version: u64, source: Source) {
        self.context.push(token);
        self.drawn.push((version, source));
        self.left -= 1;
    }

    /// Choice `id` that shares the first `at` tokens drawn and goes on by a key of its own, as the engine starts it.
    pub(super) fn fork(&self, id: u64, at: usize) -> Self {
        Self {
            context: self.context[..self.prompt.len() + at].to_vec(),
            drawn: self.drawn[..at].to_vec(),
            left: self.left + self.drawn.len() - at,
            key: if self.key == 0 { 0 } else { id + 1 },
            scores: None,
            forks_left: 0,
            group: id,
            forked: true,
            started: true,
            running: false,
            overtaken: 0,
            idle: 0,
            ..self.clone()
        }
    }

    /// The request alone, under the versions and with the forced tokens that it saw, from its prompt.
    pub(super) fn alone(&self) -> Vec<u32> {
        let mut context = self.prompt.clone();
        for (version, source) in &self.drawn {
            context.push(match source {
                Source::Key(key) => pick(hash_of(*version, context.iter().copied()), *key),
                Source::Forced(token) => *token,
            });
        }
        context
    }
}
