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
    pub(super) fn draw(&mut self, token: u32, version: u64, forced: Option<u32>) -> Result<(), String> {
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
        self.context.push(forced.unwrap_or(token));
        self.drawn.push((version, forced));
        self.left -= 1;
        Ok(())
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
