//! Who owns which KV block: allocation, sharing, copy-on-write and reuse across requests.
//!
//! Exists so that no block can leak or be written by two sequences. Knows no tensors: it deals in block numbers, and the
//! model's cache holds one slab of keys and values per number. Knows no clocks: recency is a counter.

mod index;
pub(crate) mod planted;
mod pool;
mod table;
#[cfg(test)]
mod tests;

use std::sync::Arc;

pub use pool::{Block, BlockPool};
pub use table::{BlockCopy, BlockTable, OutOfBlocks};

use index::PrefixIndex;

/// Tokens of a block. Block boundaries are aligned to the start of the sequence.
pub const BLOCK_TOKENS: usize = 16;

/// Blocks that `tokens` tokens occupy.
#[must_use]
pub fn blocks_for(tokens: usize) -> usize {
    tokens.div_ceil(BLOCK_TOKENS)
}

/// A block of the prefix index, and what it is found by.
#[cfg(test)]
#[derive(Debug)]
pub(crate) struct Findable {
    pub(crate) block: u32,
    pub(crate) version: u64,
    pub(crate) salt: Option<Arc<str>>,
    /// Tokens from the start of the sequence to the block's last.
    pub(crate) tokens: Vec<u32>,
}

/// All blocks of an engine and the index of reusable ones.
#[derive(Debug)]
pub struct KvBlocks {
    pool: BlockPool,
    index: Option<PrefixIndex>,
}

impl KvBlocks {
    /// `blocks` free blocks; with `prefix_cache`, full blocks stay findable until their space is needed.
    #[must_use]
    pub fn new(blocks: usize, prefix_cache: bool) -> Self {
        Self {
            pool: BlockPool::new(blocks),
            index: prefix_cache.then(PrefixIndex::default),
        }
    }

    /// Blocks in all.
    #[must_use]
    pub fn total(&self) -> usize {
        self.pool.total()
    }

    /// Blocks that sequences reference.
    #[must_use]
    pub fn in_use(&self) -> usize {
        self.pool.in_use()
    }

    /// Blocks that hold nothing, not even what a later prefix may share.
    #[must_use]
    pub fn free(&self) -> usize {
        self.pool.free()
    }

    /// Blocks that [`Self::take`] can still hand out: free ones and cached ones that nobody references.
    #[must_use]
    pub fn available(&self) -> usize {
        self.pool.total() - self.pool.in_use()
    }

    /// Blocks that the prefix index holds, referenced or not.
    #[must_use]
    pub fn cached(&self) -> usize {
        self.index.as_ref().map_or(0, PrefixIndex::len)
    }

    /// A writable block, evicting the least recently used unreferenced cached block if none is free.
    ///
    /// # Errors
    /// [`OutOfBlocks`] when sequences reference every block.
    pub fn take(&mut self) -> Result<Block, OutOfBlocks> {
        if let Some(block) = self.pool.take() {
            return Ok(block);
        }
        let evicted = self.index.as_mut().is_some_and(PrefixIndex::evict_one);
        if evicted {
            self.pool.take().ok_or(OutOfBlocks)
        } else {
            Err(OutOfBlocks)
        }
    }

    /// A table that starts with the longest cached prefix of `tokens` under `version` and `salt`. At least one token
    /// stays to be computed, because its logits are wanted.
    #[must_use]
    pub fn attach(&mut self, version: u64, salt: Option<&Arc<str>>, tokens: &[u32]) -> BlockTable {
        let Some(index) = &mut self.index else {
            return BlockTable::default();
        };
        let reusable = tokens.len().saturating_sub(1) / BLOCK_TOKENS * BLOCK_TOKENS;
        let (blocks, cursor) = index.longest(version, salt, &tokens[..reusable]);
        BlockTable::from_prefix(blocks, cursor, version)
    }

    /// Enters the full blocks of `table` that the index does not hold yet. A block that is cached already under the same
    /// tokens replaces the table's own copy. Tables written under more than one version enter nothing.
    pub fn register(&mut self, table: &mut BlockTable, salt: Option<&Arc<str>>, tokens: &[u32]) {
        if let Some(index) = &mut self.index {
            table.register(index, salt, tokens);
        }
    }

    /// Drops every cached block that no sequence references; returns how many.
    pub fn clear_cached(&mut self) -> usize {
        let mut dropped = 0;
        while self.index.as_mut().is_some_and(PrefixIndex::evict_one) {
            dropped += 1;
        }
        dropped
    }

    /// Every block that the prefix index holds.
    #[cfg(test)]
    pub(crate) fn findable(&self) -> Vec<Findable> {
        self.index.as_ref().map_or_else(Vec::new, PrefixIndex::findable)
    }

    /// Checks the ledger against `tables`, all the tables alive.
    ///
    /// # Errors
    /// A sentence about the first inconsistency.
    pub fn check<'a>(&self, tables: impl Iterator<Item = &'a BlockTable>) -> Result<(), String> {
        let mut references = vec![0u32; self.total()];
        for table in tables {
            table.check()?;
            for block in table.ids() {
                references[block as usize] += 1;
            }
        }
        self.pool.check(&references)?;
        self.index.as_ref().map_or(Ok(()), PrefixIndex::check)
    }

    /// Checks that the index knows the sequence of `table` by its own `tokens`.
    ///
    /// # Errors
    /// A sentence about what differs.
    pub fn check_indexed(&self, table: &BlockTable, tokens: &[u32]) -> Result<(), String> {
        let checked = self.index.as_ref().map(|index| table.check_cursor(index, tokens));
        checked.unwrap_or(Ok(()))
    }
}
