//! What the simulator knows of a sequence by its own accounting.

use super::slots::{Reader, next_token};

/// A sequence as its caller sees it.
#[derive(Debug, Clone)]
pub(super) struct Expected {
    pub(super) prompt: Vec<u32>,
    /// Prompt and tokens drawn.
    pub(super) context: Vec<u32>,
    /// Per drawn token: the version, and the token if a controller forced it.
    pub(super) drawn: Vec<(u64, Option<u32>)>,
    /// Tokens to draw yet.
    pub(super) left: usize,
    pub(super) version: u64,
    /// A swap leaves it under its version.
    pub(super) pinned: bool,
    /// The next row of its prompt that scores a token, as long as there is one.
    pub(super) scoring: Option<usize>,
    pub(super) priority: i32,
    pub(super) tenant: usize,
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

    /// Takes a drawn token, after comparing it with the one that the context demands.
    pub(super) fn draw(&mut self, token: u32, version: u64) -> Result<(), String> {
        if version != self.version {
            return Err(format!("drew under version {version} instead of {}", self.version));
        }
        let due = next_token(version, self.context.iter().copied());
        if token != due {
            return Err(format!(
                "drew {token} instead of {due} at position {}",
                self.context.len()
            ));
        }
        self.take(token, (version, None));
        Ok(())
    }

    /// Takes a token that a controller put in.
    pub(super) fn force(&mut self, token: u32) {
        self.take(token, (self.version, Some(token)));
    }

    fn take(&mut self, token: u32, drawn: (u64, Option<u32>)) {
        self.context.push(token);
        self.drawn.push(drawn);
        self.left -= 1;
    }

    /// A sequence that goes on after the first `at` tokens of this one, up to the same length.
    pub(super) fn forked(&self, group: u64, at: usize) -> Self {
        Self {
            context: self.context[..self.prompt.len() + at].to_vec(),
            drawn: self.drawn[..at].to_vec(),
            left: self.left + self.drawn.len() - at,
            group,
            scoring: None,
            forked: true,
            started: true,
            running: false,
            overtaken: 0,
            idle: 0,
            ..self.clone()
        }
    }

    /// Notes that rows from `start` up to `end` are computed; returns whether the last of its scores came with them.
    ///
    /// # Errors
    /// A row that scores a token was left out.
    pub(super) fn score(&mut self, start: usize, end: usize) -> Result<bool, String> {
        let Some(next) = self.scoring else { return Ok(false) };
        if start > next {
            return Err(format!("does not compute row {next}, which scores a token"));
        }
        let last = self.prompt.len() - 1;
        self.scoring = Some(next.max(end)).filter(|next| *next < last);
        Ok(self.scoring.is_none())
    }

    /// Of these rows, those that score a token.
    pub(super) fn scores_in(&self, start: usize, end: usize) -> usize {
        let first = self.scoring.map_or(end, |next| next.max(start));
        end.min(self.prompt.len() - 1).saturating_sub(first)
    }

    /// The request alone, under the versions and with the forced tokens that it saw, from its prompt.
    pub(super) fn alone(&self) -> Vec<u32> {
        let mut context = self.prompt.clone();
        for (version, forced) in &self.drawn {
            let token = forced.unwrap_or_else(|| next_token(*version, context.iter().copied()));
            context.push(token);
        }
        context
    }
}
