//! The mock model: a row of a block holds what was written there, and logits are a hash of the weight version and of
//! the context as it reads through the block table. A wrong table, a missing copy or an overwritten row shows.

use std::collections::HashSet;

use super::random::mix;
use crate::kv::{BLOCK_TOKENS, Findable};
use crate::scheduler::{PlannedRows, Scheduler, StepPlan};

/// Token ids of the model. Few, so that contexts meet.
const VOCABULARY: u64 = 3;

/// The cache salt of each tenant.
pub(super) const SALTS: [Option<&str>; 3] = [None, Some("a"), Some("b")];

/// What a row of a block holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Slot {
    token: u32,
    position: usize,
    /// Hash of the tokens up to this one: keys and values depend on all of them.
    prefix: u64,
    version: u64,
    tenant: usize,
}

/// What a sequence may read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reader {
    pub(super) tenant: usize,
    /// Rows of several versions.
    pub(super) crossed: bool,
}

/// All rows of all blocks.
#[derive(Debug)]
pub(super) struct Slots(Vec<Option<Slot>>);

/// What stands for the logits after `context` under `version`.
pub(super) fn hash_of(version: u64, context: impl Iterator<Item = u32>) -> u64 {
    context.fold(mix(version), extend)
}

/// The token that a choice with `key` draws from such logits.
pub(super) fn pick(hash: u64, key: u64) -> u32 {
    (mix(hash ^ key) % VOCABULARY) as u32
}

fn extend(hash: u64, token: u32) -> u64 {
    mix(hash ^ u64::from(token))
}

impl Slots {
    pub(super) fn new(blocks: usize) -> Self {
        Self(vec![None; blocks * BLOCK_TOKENS])
    }

    /// Computes a step as the model would. Returns what each entry of the plan draws from.
    pub(super) fn compute(
        &mut self,
        scheduler: &Scheduler,
        plan: &StepPlan,
        expected: impl Fn(u64) -> Reader,
    ) -> Result<Vec<u64>, String> {
        for copy in &plan.copies {
            let (from, to) = (copy.from as usize * BLOCK_TOKENS, copy.to as usize * BLOCK_TOKENS);
            self.0.copy_within(from..from + copy.rows, to);
        }
        let mut written = HashSet::new();
        for rows in &plan.rows {
            let (tokens, table): (_, Vec<u32>) = (scheduler.tokens(rows.id), scheduler.block_table(rows.id).collect());
            let mut prefix = 0;
            for (position, &token) in tokens.iter().enumerate().take(rows.start + rows.len) {
                prefix = extend(prefix, token);
                if position < rows.start {
                    continue;
                }
                let at = slot(&table, position).ok_or_else(|| format!("sequence {} lacks a block", rows.id))?;
                if !written.insert(at) {
                    return Err(format!("two rows of a step write row {at}"));
                }
                self.0[at] = Some(Slot {
                    token,
                    position,
                    prefix,
                    version: plan.version,
                    tenant: expected(rows.id).tenant,
                });
            }
        }
        let read = |rows: &PlannedRows| self.read(scheduler, plan, rows, expected(rows.id));
        plan.rows.iter().map(read).collect()
    }

    /// Reads the whole context of a sequence through its block table.
    fn read(&self, scheduler: &Scheduler, plan: &StepPlan, rows: &PlannedRows, by: Reader) -> Result<u64, String> {
        let table: Vec<u32> = scheduler.block_table(rows.id).collect();
        let (mut context, mut prefix, mut mixed) = (Vec::with_capacity(rows.start + rows.len), 0, false);
        for position in 0..rows.start + rows.len {
            let held = slot(&table, position).and_then(|at| self.0[at]);
            let fault = |what: &str| format!("sequence {} reads {what} at {position}", rows.id);
            let held = held.ok_or_else(|| fault("what nobody wrote"))?;
            if held.position != position {
                return Err(fault("a row of another position"));
            }
            if held.tenant != by.tenant {
                return Err(fault("a row of another tenant"));
            }
            prefix = extend(prefix, held.token);
            if held.prefix != prefix {
                return Err(fault("a row of another context"));
            }
            mixed |= held.version != plan.version;
            context.push(held.token);
        }
        match (mixed, scheduler.is_mixed(rows.id)) {
            (true, false) => Err(format!("sequence {} reads another version unmarked", rows.id)),
            (false, true) => Err(format!("sequence {} is marked for another version's rows", rows.id)),
            (true, true) if !by.crossed => Err(format!("sequence {} reads another version", rows.id)),
            _ => Ok(hash_of(plan.version, context.into_iter())),
        }
    }
}

impl Slots {
    /// A block that can be found holds what it is found by.
    pub(super) fn check_findable(&self, block: &Findable) -> Result<(), String> {
        let (mut prefix, first) = (0, block.tokens.len() - BLOCK_TOKENS);
        for (position, token) in block.tokens.iter().enumerate() {
            prefix = extend(prefix, *token);
            let due = Slot {
                token: *token,
                position,
                prefix,
                version: block.version,
                tenant: SALTS
                    .iter()
                    .position(|salt| *salt == block.salt.as_deref())
                    .unwrap_or(0),
            };
            let row = block.block as usize * BLOCK_TOKENS + position % BLOCK_TOKENS;
            if position >= first && self.0[row] != Some(due) {
                return Err(format!("block {} is found by what it does not hold", block.block));
            }
        }
        Ok(())
    }
}

fn slot(table: &[u32], position: usize) -> Option<usize> {
    let block = table.get(position / BLOCK_TOKENS)?;
    Some(*block as usize * BLOCK_TOKENS + position % BLOCK_TOKENS)
}
