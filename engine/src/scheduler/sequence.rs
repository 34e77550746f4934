//! What the scheduler knows of one sequence.

use std::sync::Arc;

use super::Budget;
use super::queue::{Class, Rank};
use crate::kv::BlockTable;

/// Number of a sequence, in order of arrival.
pub type SeqId = u64;

/// A sequence to queue.
#[derive(Debug, Clone)]
pub struct NewSequence {
    /// Prompt and, for a resumed sequence, tokens sampled before.
    pub tokens: Vec<u32>,
    /// Tokens of the prompt.
    pub prompt_len: usize,
    /// Weight version.
    pub version: u64,
    /// Separates prefix-cache entries.
    pub salt: Option<Arc<str>>,
    /// First sample of the same request, whose prompt is shared.
    pub leader: Option<SeqId>,
    /// Tokens of the prompt from this position on are scored, so their rows must be computed.
    pub scored_from: Option<usize>,
    /// Its version does not change at a publish.
    pub pinned: bool,
    /// Lower is served earlier, until [`super::Limits::max_overtakes`] later ones went ahead.
    pub priority: i32,
}

/// A queued or running sequence.
#[derive(Debug)]
pub(super) struct Sequence {
    pub(super) tokens: Vec<u32>,
    pub(super) prompt_len: usize,
    pub(super) version: u64,
    pub(super) salt: Option<Arc<str>>,
    /// Whose prompt it waits for. It is not in the queue until then.
    pub(super) leader: Option<SeqId>,
    /// Those that wait for its prompt, by arrival.
    pub(super) followers: Vec<SeqId>,
    pub(super) scored_from: Option<usize>,
    pub(super) pinned: bool,
    pub(super) priority: i32,
    /// Sequences that arrived later and were admitted while it was in the queue.
    pub(super) overtaken: u32,
    /// It, or the sample whose prompt it shares, has had rows planned.
    pub(super) started: bool,
    pub(super) table: BlockTable,
}

impl Sequence {
    pub(super) fn new(new: NewSequence, leader: Option<SeqId>) -> Self {
        Self {
            tokens: new.tokens,
            prompt_len: new.prompt_len,
            version: new.version,
            salt: new.salt,
            leader,
            followers: Vec::new(),
            scored_from: new.scored_from,
            pinned: new.pinned,
            priority: new.priority,
            overtaken: 0,
            started: false,
            table: BlockTable::default(),
        }
    }

    /// Tokens whose keys and values are not written yet.
    pub(super) fn pending(&self) -> usize {
        self.tokens.len() - self.table.len()
    }

    /// Leading tokens whose keys and values may come from the prefix cache, and one more: the row before the first scored
    /// token is the first whose logits are wanted.
    pub(super) fn reusable(&self) -> &[u32] {
        let end = self.scored_from.unwrap_or(self.tokens.len());
        &self.tokens[..end.min(self.tokens.len())]
    }

    /// Of the rows pending up to position `end`, those that score a token: the row before it does.
    pub(super) fn scored_rows(&self, end: usize) -> usize {
        let Some(from) = self.scored_from else { return 0 };
        let first = self.table.len().max(from.saturating_sub(1));
        end.min(self.prompt_len - 1).saturating_sub(first)
    }

    /// Pending rows that fit the budget.
    pub(super) fn rows_within(&self, budget: Budget) -> usize {
        let held = budget
            .beside
            .filter(|beside| self.pending() > 1 && self.priority > beside.priority);
        let rows = held.map_or(budget.rows, |beside| budget.rows.min(beside.rows));
        let (start, len) = (self.table.len(), self.pending().min(rows));
        let excess = self.scored_rows(start + len).saturating_sub(budget.scored);
        match self.scored_from {
            // Rows after the prompt come only when all before them have.
            Some(_) if excess > 0 => (self.prompt_len - 1).min(start + len) - start - excess,
            _ => len,
        }
    }

    /// The prompt's last row has been computed once.
    pub(super) fn prompt_done(&self) -> bool {
        self.table.len() >= self.prompt_len || self.tokens.len() > self.prompt_len
    }

    pub(super) fn is_due(&self, max_overtakes: u32) -> bool {
        self.overtaken >= max_overtakes
    }

    /// Place in the order of service.
    pub(super) fn rank(&self, id: SeqId, max_overtakes: u32) -> Rank {
        let class = if self.is_due(max_overtakes) {
            Class::Due
        } else {
            Class::Priority(self.priority)
        };
        (class, id)
    }
}
