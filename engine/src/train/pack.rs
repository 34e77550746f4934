//! Many sequences as one batch of rows, without padding, and what they begin with in common once.
//!
//! The rollouts of a group share their prompt. Of such sequences the first, the trunk, has rows for all its tokens; the
//! others have rows for those after what they share with it, whose keys and values they read through their block tables:
//! whole blocks are the trunk's own, of the block after them the first slots are copied. The last scored token of a
//! sequence and what follows it have no rows: no logits are read from them. What a row computes depends on the tokens
//! before it only, so the sharing changes no bit of the forward.

use super::TrainSequence;
use crate::error::EngineError;
use crate::kv::{BLOCK_TOKENS, blocks_for};
use crate::model::Copied;

/// Rows of a micro-batch and what is scored in them.
#[derive(Debug, Default)]
pub(super) struct Packed {
    /// Token of each row.
    pub(super) tokens: Vec<u32>,
    /// Position of each row in its sequence.
    pub(super) positions: Vec<u32>,
    /// Rows of each sequence.
    pub(super) spans: Vec<Span>,
    /// Block table of each sequence.
    pub(super) tables: Vec<Vec<u32>>,
    /// Rows whose next token is scored, in order of the sequences' scored positions. Sequences that share the row before
    /// their first own token have a target each on it.
    pub(super) targets: Vec<Target>,
    /// Slots that are copied from the trunks.
    pub(super) copied: Vec<Copied>,
    blocks: u32,
}

/// The rows of one sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    /// First row that is its own.
    pub(super) first: usize,
    /// Tokens that have rows.
    pub(super) len: usize,
    /// Leading tokens whose rows are the trunk's.
    pub(super) shared: usize,
    /// First row of the trunk.
    pub(super) trunk: usize,
}

impl Span {
    /// The row of the token at `position`.
    pub(super) fn row(&self, position: usize) -> usize {
        match position.checked_sub(self.shared) {
            Some(own) => self.first + own,
            None => self.trunk + position,
        }
    }
}

/// A scored token.
#[derive(Debug, Clone, Copy)]
pub(super) struct Target {
    /// The row that predicts it.
    pub(super) row: usize,
    /// Its id.
    pub(super) token: u32,
    /// Temperature of its sequence.
    pub(super) temperature: f32,
}

impl Packed {
    /// Lays `sequences` end to end.
    pub(super) fn new(sequences: &[TrainSequence], vocab_size: usize) -> Result<Self, EngineError> {
        let mut packed = Self::default();
        let mut trunk = 0;
        for ((index, sequence), shared) in sequences.iter().enumerate().zip(shared_tokens(sequences)) {
            check(sequence, vocab_size)?;
            if shared == 0 {
                trunk = index;
                packed.lay(sequence, None);
            } else {
                packed.lay(sequence, Some((trunk, shared)));
            }
        }
        Ok(packed)
    }

    /// Adds the rows of a sequence, which shares so many tokens with the trunk of that index.
    fn lay(&mut self, sequence: &TrainSequence, from: Option<(usize, usize)>) {
        let (first, len) = (self.tokens.len(), sequence.rows());
        let (shared, trunk) = from.map_or((0, first), |(trunk, shared)| (shared, self.spans[trunk].first));
        let span = Span {
            first,
            len,
            shared,
            trunk,
        };
        self.tokens.extend_from_slice(&sequence.tokens[shared..len]);
        self.positions.extend((0u32..).take(len).skip(shared));
        let common = shared / BLOCK_TOKENS;
        let mut table = from.map_or(Vec::new(), |(trunk, _)| self.tables[trunk][..common].to_vec());
        let own = u32::try_from(blocks_for(len) - common).expect("a micro-batch's blocks fit u32");
        table.extend(self.blocks..self.blocks + own);
        self.blocks += own;
        let whole = common * BLOCK_TOKENS;
        if shared > whole {
            self.copied.push(Copied {
                rows: trunk + whole..trunk + shared,
                block: table[common],
            });
        }
        self.tables.push(table);
        self.targets.extend(sequence.scored.iter().map(|position| {
            let position = *position as usize;
            Target {
                row: span.row(position - 1),
                token: sequence.tokens[position],
                temperature: sequence.temperature,
            }
        }));
        self.spans.push(span);
    }

    /// Blocks of all tables.
    pub(super) fn blocks(&self) -> usize {
        self.blocks as usize
    }
}

/// Leading tokens of each sequence that need no rows of their own in one micro-batch: what it begins with in common with
/// its trunk, the nearest sequence before it that has 0 here. A sequence that has more in common with its
/// successor than with the trunk begins a family of its own, so groups whose prompts have the same opening stay apart.
#[must_use]
pub fn shared_tokens(sequences: &[TrainSequence]) -> Vec<usize> {
    let mut trunk = 0;
    let shared = sequences.iter().enumerate().map(|(index, sequence)| {
        if index == 0 {
            return 0;
        }
        let shared = common(&sequences[trunk], sequence);
        let next = sequences.get(index + 1).map_or(0, |next| common(sequence, next));
        if next > shared || shared == 0 {
            trunk = index;
            return 0;
        }
        shared
    });
    shared.collect()
}

/// Tokens with rows that `sequence` begins with in common with `trunk`, short of its last row.
fn common(trunk: &TrainSequence, sequence: &TrainSequence) -> usize {
    let ours = trunk.tokens.iter().take(trunk.rows());
    let pairs = ours.zip(sequence.tokens.iter().take(sequence.rows().saturating_sub(1)));
    pairs.take_while(|(ours, theirs)| ours == theirs).count()
}

fn check(sequence: &TrainSequence, vocab_size: usize) -> Result<(), EngineError> {
    let invalid = |field, reason: String| Err(EngineError::InvalidParameter { field, reason });
    if sequence.tokens.is_empty() {
        return invalid("tokens", "a sequence is empty".into());
    }
    if let Some(token) = sequence.tokens.iter().find(|token| **token as usize >= vocab_size) {
        return invalid(
            "tokens",
            format!("token id {token} is outside the vocabulary of {vocab_size}"),
        );
    }
    let ascending = sequence.scored.windows(2).all(|pair| pair[0] < pair[1]);
    let first = sequence.scored.first().is_none_or(|position| *position >= 1);
    let last = sequence
        .scored
        .last()
        .is_none_or(|position| (*position as usize) < sequence.tokens.len());
    if !(ascending && first && last) {
        let reason = format!("positions must ascend within 1..{}", sequence.tokens.len());
        return invalid("scored", reason);
    }
    if !(sequence.temperature > 0.0 && sequence.temperature.is_finite()) {
        return invalid("temperature", format!("{} is not above 0", sequence.temperature));
    }
    Ok(())
}
