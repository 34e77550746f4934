//! What came of the requests, counted by all clients.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Errors kept for the report.
const MOST_KEPT: usize = 20;

/// The counts.
#[derive(Debug, Default)]
pub(super) struct Tally {
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    counts: BTreeMap<&'static str, u64>,
    tokens: u64,
    open: usize,
    most_open: usize,
    errors: u64,
    examples: Vec<String>,
}

/// A stream that is open while this lives.
pub(super) struct Open<'a>(&'a Tally);

impl Tally {
    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn count(&self, what: &'static str) {
        *self.held().counts.entry(what).or_default() += 1;
    }

    /// Tokens of whole answers.
    pub(super) fn add_tokens(&self, tokens: u64) {
        self.held().tokens += tokens;
    }

    pub(super) fn count_error(&self, error: &str) {
        let mut held = self.held();
        held.errors += 1;
        if held.examples.len() < MOST_KEPT {
            held.examples.push(error.to_owned());
        }
    }

    /// A stream that has begun.
    pub(super) fn open(&self) -> Open<'_> {
        let mut held = self.held();
        held.open += 1;
        held.most_open = held.most_open.max(held.open);
        Open(self)
    }

    pub(super) fn of(&self, what: &str) -> u64 {
        self.held().counts.get(what).copied().unwrap_or(0)
    }

    pub(super) fn tokens(&self) -> u64 {
        self.held().tokens
    }

    pub(super) fn most_open(&self) -> usize {
        self.held().most_open
    }

    pub(super) fn errors(&self) -> (u64, Vec<String>) {
        let held = self.held();
        (held.errors, held.examples.clone())
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.held().open -= 1;
    }
}
