//! The mock model: a row of a block holds what was written there, and the next token is a hash of the weight version
//! and of the context as it reads through the block table. A wrong table, a missing copy or an overwritten row shows.

use std::collections::HashSet;

use super::random::mix;
use crate::kv::BLOCK_TOKENS;
use crate::scheduler::{PlannedRows, Scheduler, StepPlan};

/// Token ids of the model. Few, so that contexts meet.
const VOCABULARY: u64 = 3;

/// What a row of a block holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Slot {
    token: u32,
    position: usize,
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

/// The token that follows `context` under `version`.
pub(super) fn next_token(version: u64, context: impl Iterator<Item = u32>) -> u32 {
    let hash = context.fold(mix(version), |hash, token| mix(hash ^ u64::from(token)));
    (hash % VOCABULARY) as u32
}

impl Slots {
    pub(super) fn new(blocks: usize) -> Self {
        Self(vec![None; blocks * BLOCK_TOKENS])
    }

    /// Computes a step as the model would. Returns the token that each entry of the plan draws.
    pub(super) fn compute(
        &mut self,
        scheduler: &Scheduler,
        plan: &StepPlan,
        expected: impl Fn(u64) -> Reader,
    ) -> Result<Vec<u32>, String> {
        for copy in &plan.copies {
            let (from, to) = (copy.from as usize * BLOCK_TOKENS, copy.to as usize * BLOCK_TOKENS);
            self.0.copy_within(from..from + copy.rows, to);
        }
        let mut written = HashSet::new();
        for rows in &plan.rows {
            let (tokens, table): (_, Vec<u32>) = (scheduler.tokens(rows.id), scheduler.block_table(rows.id).collect());
            for (position, &token) in tokens.iter().enumerate().skip(rows.start).take(rows.len) {
                let at = slot(&table, position).ok_or_else(|| format!("sequence {} lacks a block", rows.id))?;
                if !written.insert(at) {
                    return Err(format!("two rows of a step write row {at}"));
                }
                self.0[at] = Some(Slot {
                    token,
                    position,
                    version: plan.version,
                    tenant: expected(rows.id).tenant,
                });
            }
        }
        let read = |rows: &PlannedRows| self.read(scheduler, plan, rows, expected(rows.id));
        plan.rows.iter().map(read).collect()
    }

    /// Reads the whole context of a sequence through its block table.
    fn read(&self, scheduler: &Scheduler, plan: &StepPlan, rows: &PlannedRows, by: Reader) -> Result<u32, String> {
        let table: Vec<u32> = scheduler.block_table(rows.id).collect();
        let (mut context, mut mixed) = (Vec::with_capacity(rows.start + rows.len), false);
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
            mixed |= held.version != plan.version;
            context.push(held.token);
        }
        if mixed && !(scheduler.is_mixed(rows.id) && by.crossed) {
            return Err(format!("sequence {} reads another version unmarked", rows.id));
        }
        Ok(next_token(plan.version, context.into_iter()))
    }
}

fn slot(table: &[u32], position: usize) -> Option<usize> {
    let block = table.get(position / BLOCK_TOKENS)?;
    Some(*block as usize * BLOCK_TOKENS + position % BLOCK_TOKENS)
}
