//! Many whole sequences as one batch of rows, without padding.

use super::TrainSequence;
use crate::error::EngineError;
use crate::kv::{BLOCK_TOKENS, blocks_for};

/// Rows of a micro-batch and what is scored in them.
#[derive(Debug, Default)]
pub(super) struct Packed {
    /// Token of each row.
    pub(super) tokens: Vec<u32>,
    /// Position of each row in its sequence.
    pub(super) positions: Vec<u32>,
    /// First row and length of each sequence.
    pub(super) spans: Vec<(usize, usize)>,
    /// Block table of each sequence; no block is shared.
    pub(super) tables: Vec<Vec<u32>>,
    /// Rows whose next token is scored, in order of the sequences' scored positions.
    pub(super) targets: Vec<Target>,
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
        let mut block = 0;
        for sequence in sequences {
            check(sequence, vocab_size)?;
            let (first, len) = (packed.tokens.len(), sequence.tokens.len());
            packed.tokens.extend_from_slice(&sequence.tokens);
            packed.positions.extend((0u32..).take(len));
            packed.spans.push((first, len));
            let blocks = u32::try_from(blocks_for(len)).expect("a micro-batch's blocks fit u32");
            packed.tables.push((block..block + blocks).collect());
            block += blocks;
            let temperature = sequence.temperature;
            packed.targets.extend(sequence.scored.iter().map(|position| {
                let position = *position as usize;
                Target {
                    row: first + position - 1,
                    token: sequence.tokens[position],
                    temperature,
                }
            }));
        }
        Ok(packed)
    }

    /// Blocks of all tables.
    pub(super) fn blocks(&self) -> usize {
        self.spans.iter().map(|(_, len)| len.div_ceil(BLOCK_TOKENS)).sum()
    }
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
