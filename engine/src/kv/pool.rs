//! Blocks as owned handles: cloning shares a block, dropping the last handle frees it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::planted::{Defect, planted};

/// Reference counts of all blocks. A block is free, referenced, or idle (cached and unreferenced).
#[derive(Debug)]
struct Ledger {
    references: Vec<u32>,
    cached: Vec<bool>,
    free: Vec<u32>,
    idle: usize,
    /// Releases of blocks that nobody referenced: the mark of a defect, reported by the check.
    double_frees: usize,
}

impl Ledger {
    fn reference(&mut self, id: u32) {
        if planted(Defect::SkippedReference) {
            return;
        }
        let count = &mut self.references[id as usize];
        if *count == 0 && self.cached[id as usize] {
            self.idle -= 1;
        }
        *count += 1;
    }

    fn release(&mut self, id: u32) {
        let count = &mut self.references[id as usize];
        // No panic here: this runs where handles are dropped.
        let Some(left) = count.checked_sub(1) else {
            self.double_frees += 1;
            return;
        };
        *count = left;
        if *count == 0 {
            if self.cached[id as usize] {
                self.idle += 1;
            } else {
                self.free.push(id);
            }
        }
    }
}

/// The shared ledger; nothing can panic while it is held, so a poisoned lock is still consistent.
type SharedLedger = Arc<Mutex<Ledger>>;

fn open(ledger: &SharedLedger) -> MutexGuard<'_, Ledger> {
    ledger.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A fixed number of blocks.
#[derive(Debug)]
pub struct BlockPool {
    ledger: SharedLedger,
    total: usize,
}

impl BlockPool {
    /// `total` free blocks, numbered from 0.
    #[must_use]
    pub fn new(total: usize) -> Self {
        let last = u32::try_from(total).expect("planned block counts fit u32");
        let ledger = Ledger {
            references: vec![0; total],
            cached: vec![false; total],
            free: (0..last).rev().collect(),
            idle: 0,
            double_frees: 0,
        };
        Self {
            ledger: Arc::new(Mutex::new(ledger)),
            total,
        }
    }

    /// Blocks in all.
    #[must_use]
    pub fn total(&self) -> usize {
        self.total
    }

    /// Blocks with at least one handle.
    #[must_use]
    pub fn in_use(&self) -> usize {
        let ledger = open(&self.ledger);
        self.total - ledger.free.len() - ledger.idle
    }

    /// Blocks that hold nothing.
    #[must_use]
    pub fn free(&self) -> usize {
        open(&self.ledger).free.len()
    }

    /// A free block, if there is one.
    #[must_use]
    pub fn take(&self) -> Option<Block> {
        let mut ledger = open(&self.ledger);
        let id = ledger.free.pop()?;
        ledger.references[id as usize] = 1;
        Some(Block {
            id,
            ledger: Arc::clone(&self.ledger),
        })
    }

    /// Compares the reference counts with those counted by the caller.
    pub(super) fn check(&self, references: &[u32]) -> Result<(), String> {
        let ledger = open(&self.ledger);
        if ledger.double_frees > 0 {
            return Err(format!("{} releases of free blocks", ledger.double_frees));
        }
        if let Some(id) = (0..self.total).find(|&id| ledger.references[id] != references[id]) {
            let (counted, held) = (ledger.references[id], references[id]);
            return Err(format!("block {id} counts {counted} references, tables hold {held}"));
        }
        let idle = (0..self.total)
            .filter(|&id| ledger.cached[id] && references[id] == 0)
            .count();
        let free = (0..self.total)
            .filter(|&id| !ledger.cached[id] && references[id] == 0)
            .count();
        if (idle, free) != (ledger.idle, ledger.free.len()) {
            return Err(format!(
                "{} idle and {} free blocks, counted {idle} and {free}",
                ledger.idle,
                ledger.free.len()
            ));
        }
        Ok(())
    }
}

/// A reference to a block. Clones share the block.
#[derive(Debug)]
pub struct Block {
    id: u32,
    ledger: SharedLedger,
}

impl Block {
    /// Number of the block.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.id
    }

    /// Another handle or the prefix index refers to this block, so it must not be written.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        let ledger = open(&self.ledger);
        ledger.references[self.id as usize] > 1 || ledger.cached[self.id as usize] && !planted(Defect::CachedTail)
    }

    /// Lets the index keep the block after the last handle; `None` if it holds it already.
    pub(super) fn cache(&self) -> Option<CachedBlock> {
        let mut ledger = open(&self.ledger);
        let cached = &mut ledger.cached[self.id as usize];
        if *cached {
            return None;
        }
        *cached = true;
        Some(CachedBlock {
            id: self.id,
            ledger: Arc::clone(&self.ledger),
        })
    }
}

impl Clone for Block {
    fn clone(&self) -> Self {
        open(&self.ledger).reference(self.id);
        Self {
            id: self.id,
            ledger: Arc::clone(&self.ledger),
        }
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        if planted(Defect::SkippedRelease) {
            return;
        }
        open(&self.ledger).release(self.id);
        if planted(Defect::DoubleRelease) {
            open(&self.ledger).release(self.id);
        }
    }
}

/// The index's hold on a block. Does not count as a reference; dropping it ends the caching.
#[derive(Debug)]
pub(super) struct CachedBlock {
    pub(super) id: u32,
    ledger: SharedLedger,
}

impl CachedBlock {
    /// A handle to the cached block.
    pub(super) fn lease(&self) -> Block {
        open(&self.ledger).reference(self.id);
        Block {
            id: self.id,
            ledger: Arc::clone(&self.ledger),
        }
    }

    /// No sequence refers to the block.
    pub(super) fn is_idle(&self) -> bool {
        open(&self.ledger).references[self.id as usize] == 0
    }
}

impl Drop for CachedBlock {
    fn drop(&mut self) {
        let mut ledger = open(&self.ledger);
        ledger.cached[self.id as usize] = false;
        if ledger.references[self.id as usize] == 0 {
            ledger.idle -= 1;
            ledger.free.push(self.id);
        }
    }
}
