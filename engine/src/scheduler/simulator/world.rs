//! The simulated world: the scheduler, the mock model, the callers, and the random events that befall them.

use std::collections::{BTreeMap, BTreeSet};

use super::oracle::Expected;
use super::random::Random;
use super::slots::Slots;
use super::tally::Tally;
use crate::kv::KvBlocks;
use crate::kv::planted::{denials, deny};
use crate::scheduler::{Limits, Scheduler, SeqId, StepPlan};

/// Sequences alive at once.
const MOST_ALIVE: usize = 40;
/// Tokens that prompts have in common.
pub(super) const MOST_PREFIX: usize = 48;
/// Tokens that a prompt has after those.
pub(super) const MOST_SUFFIX: usize = 20;
/// Tokens that a sequence draws.
pub(super) const MOST_DRAWN: usize = 50;
/// Steps in which everything must end once nothing new arrives.
const MOST_DRAIN: usize = 20_000;

/// Whether and what the engine would step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flow {
    Running,
    /// Paused with `keep`, or after an `abort`.
    Frozen,
    /// Paused with `wait`: what has started finishes.
    Draining,
}

/// Everything.
#[derive(Debug)]
pub(super) struct World {
    pub(super) random: Random,
    pub(super) limits: Limits,
    pub(super) scheduler: Scheduler,
    pub(super) slots: Slots,
    pub(super) alive: BTreeMap<SeqId, Expected>,
    pub(super) prefixes: Vec<Vec<u32>>,
    pub(super) flow: Flow,
    pub(super) policy: u64,
    /// A request that would make more is refused.
    pub(super) most_alive: usize,
    pub(super) next: SeqId,
    pub(super) tally: Tally,
}

impl World {
    pub(super) fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        // Where blocks are scarce, what waits soon loses those that it shares.
        let most_blocks = [16, 32, 128][random.below(3)];
        let blocks = random.within(8, most_blocks);
        let limits = Limits {
            max_num_seqs: random.within(1, 8),
            max_num_batched_tokens: random.within(4, 60),
            max_scored_rows: 16,
            max_prompt_rows_beside: random.within(1, 60),
            max_overtakes: random.within(1, 12) as u32,
        };
        let prefix = |random: &mut Random| {
            (0..random.below(MOST_PREFIX + 1))
                .map(|_| random.below(3) as u32)
                .collect()
        };
        deny(0);
        Self {
            limits,
            scheduler: Scheduler::new(limits, KvBlocks::new(blocks, !random.once_in(5))),
            slots: Slots::new(blocks),
            alive: BTreeMap::new(),
            prefixes: (0..4).map(|_| prefix(&mut random)).collect(),
            flow: Flow::Running,
            policy: 1,
            most_alive: random.within(4, MOST_ALIVE),
            next: 0,
            tally: Tally::default(),
            random,
        }
    }

    /// Lets `events` happen, each followed by up to three steps, then lets everything end and looks for leaks.
    pub(super) fn run(&mut self, events: usize) -> Result<(), String> {
        while self.tally.events < events {
            self.tally.events += 1;
            self.event();
            self.check()?;
            for _ in 0..self.random.below(4) {
                self.step()?;
            }
        }
        deny(0);
        self.resume();
        for _ in 0..MOST_DRAIN {
            if self.alive.is_empty() {
                break;
            }
            self.step()?;
        }
        if !self.alive.is_empty() {
            return Err(format!("{} sequences do not end", self.alive.len()));
        }
        self.scheduler.clear_cached();
        let (preemptions, _, prefix_hits) = self.scheduler.counters();
        (self.tally.preemptions, self.tally.prefix_hits) = (preemptions, prefix_hits);
        match (self.scheduler.kv().in_use(), self.scheduler.kv().cached()) {
            (0, 0) => Ok(()),
            (used, cached) => Err(format!("{used} used and {cached} cached blocks are left")),
        }
    }

    fn step(&mut self) -> Result<(), String> {
        if self.flow == Flow::Frozen {
            return Ok(());
        }
        let denied = denials() > 0;
        let Some(plan) = self.scheduler.schedule() else {
            self.note_places(&StepPlan::default())?;
            let may_run = |expected: &Expected| self.flow == Flow::Running || expected.started;
            if !denied && self.alive.values().any(may_run) {
                return Err("sequences wait and nothing is planned".into());
            }
            return self.check();
        };
        self.tally.steps += 1;
        self.tally.copies += plan.copies.len();
        self.check_plan(&plan)?;
        let hashes = self
            .slots
            .compute(&self.scheduler, &plan, |id| self.alive[&id].reader())?;
        self.note_places(&plan)?;
        self.scheduler.computed(&plan);
        self.check()?;
        self.score(&plan)?;
        for (rows, hash) in plan.rows.iter().zip(hashes) {
            for id in &rows.draw {
                self.draw(*id, hash, plan.version)
                    .map_err(|fault| format!("sequence {id} {fault}"))?;
            }
        }
        self.check()
    }

    /// Queues and ledger agree, as many blocks are in use as the tables name, and the index tells the truth.
    fn check(&self) -> Result<(), String> {
        self.scheduler.check()?;
        if self.alive.len() != self.scheduler.ids().count() {
            return Err("a sequence is forgotten, or kept after its end".into());
        }
        for block in self.scheduler.kv().findable() {
            self.slots.check_findable(&block)?;
        }
        let tables = self.alive.keys().flat_map(|id| self.scheduler.block_table(*id));
        let used = tables.collect::<BTreeSet<u32>>().len();
        match self.scheduler.kv().in_use() {
            counted if counted == used => Ok(()),
            counted => Err(format!("{counted} blocks count as used, tables name {used}")),
        }
    }
}
