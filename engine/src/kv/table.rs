//! The blocks of one sequence, and the versions under which they were written.

use std::sync::Arc;

use super::index::{NodeId, PrefixIndex};
use super::planted::{Defect, denied, planted};
use super::pool::Block;
use super::{BLOCK_TOKENS, KvBlocks, blocks_for};

/// Every block is referenced by a sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutOfBlocks;

/// Rows to copy before a step because a sequence is about to write into a block that others also read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockCopy {
    /// Block to read.
    pub from: u32,
    /// Block to write.
    pub to: u32,
    /// Leading rows to copy.
    pub rows: usize,
}

/// Ordered blocks of a sequence. Token `t` lies in row `t % 16` of block `t / 16`.
#[derive(Debug, Clone, Default)]
pub struct BlockTable {
    blocks: Vec<Block>,
    len: usize,
    /// (version, first token written under it), ascending.
    runs: Vec<(u64, usize)>,
    /// Leading blocks known to the index, and the node of the last of them.
    indexed: usize,
    cursor: Option<NodeId>,
}

impl BlockTable {
    pub(super) fn from_prefix(blocks: Vec<Block>, cursor: Option<NodeId>, version: u64) -> Self {
        let len = blocks.len() * BLOCK_TOKENS;
        let runs = if blocks.is_empty() {
            Vec::new()
        } else {
            vec![(version, 0)]
        };
        Self {
            indexed: blocks.len(),
            blocks,
            len,
            runs,
            cursor,
        }
    }

    /// Tokens whose keys and values are written.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Nothing is written and no block held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }

    /// Block numbers in order.
    pub fn ids(&self) -> impl ExactSizeIterator<Item = u32> + '_ {
        self.blocks.iter().map(Block::id)
    }

    /// Some token was written under another version than `version`.
    #[must_use]
    pub fn is_mixed(&self, version: u64) -> bool {
        self.runs.iter().any(|(written, _)| *written != version)
    }

    /// Blocks to take before tokens up to `end` can be written, a copy of a shared tail included.
    #[must_use]
    pub fn missing(&self, end: usize) -> usize {
        blocks_for(end).saturating_sub(self.blocks.len()) + usize::from(end > self.len && self.shares_tail())
    }

    fn shares_tail(&self) -> bool {
        !planted(Defect::ForgottenCopy)
            && !self.len.is_multiple_of(BLOCK_TOKENS)
            && self.blocks[self.len / BLOCK_TOKENS].is_shared()
    }

    /// Makes the rows up to token `end` writable.
    ///
    /// # Errors
    /// [`OutOfBlocks`], and nothing has changed.
    pub fn reserve(&mut self, end: usize, kv: &mut KvBlocks) -> Result<Option<BlockCopy>, OutOfBlocks> {
        if denied() || self.missing(end) > kv.available() {
            return Err(OutOfBlocks);
        }
        let mut copy = None;
        if end > self.len && self.shares_tail() {
            let tail = self.len / BLOCK_TOKENS;
            let own = kv.take()?;
            copy = Some(BlockCopy {
                from: self.blocks[tail].id(),
                to: own.id(),
                rows: self.len % BLOCK_TOKENS,
            });
            self.blocks[tail] = own;
        }
        while self.blocks.len() < blocks_for(end) {
            self.blocks.push(kv.take()?);
        }
        Ok(copy)
    }

    /// First token that does not fit the blocks held.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.blocks.len() * BLOCK_TOKENS
    }

    /// Notes that `rows` more tokens were written under `version`.
    pub fn advance(&mut self, rows: usize, version: u64) {
        if rows > 0 && self.runs.last().is_none_or(|(last, _)| *last != version) {
            self.runs.push((version, self.len));
        }
        self.len += rows;
        debug_assert!(self.len <= self.capacity());
    }

    /// A table over the same blocks for a sequence that goes its own way from here.
    #[must_use]
    pub fn fork(&self) -> Self {
        Self {
            blocks: self.blocks[..blocks_for(self.len)].to_vec(),
            len: self.len,
            runs: self.runs.clone(),
            indexed: self.indexed,
            cursor: self.cursor,
        }
    }

    /// As [`Self::fork`], over the first `len` tokens only, at most.
    #[must_use]
    pub fn fork_at(&self, len: usize) -> Self {
        let len = len.min(self.len);
        // The index's cursor stands at the last indexed block; before that, the index is walked anew.
        let (indexed, cursor) = match self.indexed * BLOCK_TOKENS <= len || planted(Defect::ForkedPastCursor) {
            true => (self.indexed, self.cursor),
            false => (0, None),
        };
        let held = if planted(Defect::ForkedWithoutBlocks) { 0 } else { len };
        Self {
            blocks: self.blocks[..blocks_for(held)].to_vec(),
            len,
            runs: self.runs.iter().copied().filter(|(_, first)| *first < len).collect(),
            indexed,
            cursor,
        }
    }

    pub(super) fn register(&mut self, index: &mut PrefixIndex, salt: Option<&Arc<str>>, tokens: &[u32]) {
        let Some((version, _)) = self.runs.last().copied() else {
            return;
        };
        if self.is_mixed(version) && !planted(Defect::MixedIndexed) {
            return;
        }
        while (self.indexed + 1) * BLOCK_TOKENS <= self.len {
            let at = self.indexed;
            let edge = &tokens[at * BLOCK_TOKENS..(at + 1) * BLOCK_TOKENS];
            let Some((node, same)) = index.insert(self.cursor, (version, salt), edge, &self.blocks[at]) else {
                return;
            };
            if let Some(same) = same {
                self.blocks[at] = same;
            }
            self.cursor = Some(node);
            self.indexed += 1;
        }
    }

    /// Checks that the index's node for the last indexed block stands where `tokens` lead.
    pub(super) fn check_cursor(&self, index: &PrefixIndex, tokens: &[u32]) -> Result<(), String> {
        let Some(cursor) = self.cursor else { return Ok(()) };
        let indexed = tokens.get(..self.indexed * BLOCK_TOKENS);
        let indexed =
            indexed.ok_or_else(|| format!("{} blocks of {} tokens are indexed", self.indexed, tokens.len()))?;
        index.check_path(cursor, indexed)
    }

    pub(super) fn check(&self) -> Result<(), String> {
        if self.len > self.capacity() {
            return Err(format!("{} tokens in {} blocks", self.len, self.blocks.len()));
        }
        // Past its tokens, its next block would be entered behind blocks of another sequence.
        if self.indexed * BLOCK_TOKENS > self.len {
            return Err(format!("{} blocks of {} tokens are indexed", self.indexed, self.len));
        }
        Ok(())
    }
}
