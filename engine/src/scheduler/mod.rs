//! Which rows the next step computes: continuous batching with chunked prefill, preemption by recompute, and one prompt
//! computed for all samples of a request.
//!
//! Knows no tensors, no clocks and no text, so it runs in a simulator. A step batches rows of one weight version.

mod admit;
mod sequence;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap, VecDeque};

use sequence::Sequence;
pub use sequence::{NewSequence, SeqId};

use crate::kv::{BlockCopy, KvBlocks};

/// Bounds of a step.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Sequences that run at once.
    pub max_num_seqs: usize,
    /// Rows of one step.
    pub max_num_batched_tokens: usize,
}

/// Rows of one sequence in a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedRows {
    /// Sequence.
    pub id: SeqId,
    /// Position of the first row.
    pub start: usize,
    /// Rows.
    pub len: usize,
    /// Sequences that draw their next token from the last row: the sequence itself, and samples of the same request
    /// that were waiting for its prompt. Empty while a prompt is incomplete.
    pub draw: Vec<SeqId>,
}

/// One step.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StepPlan {
    /// Weight version of every row.
    pub version: u64,
    /// Block copies to make first.
    pub copies: Vec<BlockCopy>,
    /// Rows.
    pub rows: Vec<PlannedRows>,
}

/// Sequences, waiting and running, and their blocks.
#[derive(Debug)]
pub struct Scheduler {
    limits: Limits,
    kv: KvBlocks,
    sequences: HashMap<SeqId, Sequence>,
    /// By arrival, except that preempted ones return to the front.
    waiting: VecDeque<SeqId>,
    /// By arrival.
    running: Vec<SeqId>,
    /// Version of the last step, to give each version its turn.
    last_version: u64,
    preemptions: u64,
    prefix_queries: u64,
    prefix_hits: u64,
}

impl Scheduler {
    /// No sequences, all blocks free.
    #[must_use]
    pub fn new(limits: Limits, kv: KvBlocks) -> Self {
        Self {
            limits,
            kv,
            sequences: HashMap::new(),
            waiting: VecDeque::new(),
            running: Vec::new(),
            last_version: 0,
            preemptions: 0,
            prefix_queries: 0,
            prefix_hits: 0,
        }
    }

    /// Queues a sequence. One with a leader waits for the leader's prompt.
    pub fn add(&mut self, id: SeqId, new: NewSequence) {
        debug_assert!(!new.tokens.is_empty() && new.prompt_len <= new.tokens.len());
        let leader = new
            .leader
            .filter(|leader| self.sequences.get(leader).is_some_and(|leader| !leader.prompt_done()));
        self.sequences.insert(id, Sequence::new(new, leader));
        self.waiting.push_back(id);
    }

    /// Sequences waiting.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Sequences running.
    #[must_use]
    pub fn running(&self) -> usize {
        self.running.len()
    }

    /// The block ledger.
    #[must_use]
    pub fn kv(&self) -> &KvBlocks {
        &self.kv
    }

    /// Preemptions so far, prompt tokens looked up and found in the prefix cache.
    #[must_use]
    pub fn counters(&self) -> (u64, u64, u64) {
        (self.preemptions, self.prefix_queries, self.prefix_hits)
    }

    /// Ids of all sequences, in no order.
    pub fn ids(&self) -> impl Iterator<Item = SeqId> + '_ {
        self.sequences.keys().copied()
    }

    /// Prompt and sampled tokens of a sequence.
    #[must_use]
    pub fn tokens(&self, id: SeqId) -> &[u32] {
        &self.sequences[&id].tokens
    }

    /// Block numbers of a sequence.
    #[must_use]
    pub fn block_table(&self, id: SeqId) -> Vec<u32> {
        self.sequences[&id].table.ids().collect()
    }

    /// Some KV entry of the sequence was written under another version than its present one.
    #[must_use]
    pub fn is_mixed(&self, id: SeqId) -> bool {
        let sequence = &self.sequences[&id];
        sequence.table.is_mixed(sequence.version)
    }

    /// Plans the next step; `None` if there is nothing to do. Every planned sequence has its blocks.
    pub fn schedule(&mut self) -> Option<StepPlan> {
        // A version may be blocked by others that hold all places or blocks; then another has its turn.
        for version in self.versions_in_turn() {
            self.last_version = version;
            let mut plan = StepPlan {
                version,
                ..StepPlan::default()
            };
            let mut budget = self.limits.max_num_batched_tokens;
            self.plan_running(&mut plan, &mut budget);
            self.plan_waiting(&mut plan, &mut budget);
            if !plan.rows.is_empty() {
                return Some(plan);
            }
        }
        None
    }

    /// Notes that `plan` was computed: rows are written, followers share their leader's prompt.
    pub fn computed(&mut self, plan: &StepPlan) {
        for rows in &plan.rows {
            let Some(sequence) = self.sequences.get_mut(&rows.id) else {
                continue;
            };
            sequence.table.advance(rows.len, plan.version);
            let salt = sequence.salt.clone();
            let mut table = std::mem::take(&mut sequence.table);
            self.kv
                .register(&mut table, salt.as_ref(), &self.sequences[&rows.id].tokens);
            for follower in rows.draw.iter().filter(|id| **id != rows.id) {
                if let Some(follower) = self.sequences.get_mut(follower) {
                    (follower.leader, follower.table) = (None, table.fork());
                }
            }
            if let Some(sequence) = self.sequences.get_mut(&rows.id) {
                sequence.table = table;
            }
        }
    }

    /// Appends a drawn token.
    pub fn push(&mut self, id: SeqId, token: u32) {
        if let Some(sequence) = self.sequences.get_mut(&id) {
            sequence.tokens.push(token);
        }
    }

    /// Forgets a sequence and frees its blocks. If samples waited for its prompt, the first of them takes over.
    pub fn remove(&mut self, id: SeqId) {
        self.sequences.remove(&id);
        self.running.retain(|other| *other != id);
        self.waiting.retain(|other| *other != id);
        let mut heir = None;
        for follower in &self.waiting {
            if let Some(sequence) = self
                .sequences
                .get_mut(follower)
                .filter(|sequence| sequence.leader == Some(id))
            {
                sequence.leader = heir;
                heir = heir.or(Some(*follower));
            }
        }
    }

    /// Moves the sequences of version `from` to version `to`; with `recompute` their KV is computed anew. Returns how
    /// many of them had started.
    pub fn set_version(&mut self, from: u64, to: u64, recompute: bool) -> usize {
        let moving = |sequence: &Sequence| sequence.version == from;
        let started = |sequence: &&Sequence| moving(sequence) && !sequence.table.is_empty();
        let count = self.sequences.values().filter(started).count();
        if recompute {
            let back: Vec<SeqId> = self
                .running
                .iter()
                .copied()
                .filter(|id| moving(&self.sequences[id]))
                .collect();
            self.running.retain(|id| !back.contains(id));
            back.into_iter().rev().for_each(|id| self.waiting.push_front(id));
        }
        for sequence in self.sequences.values_mut().filter(|sequence| moving(sequence)) {
            sequence.version = to;
            if recompute {
                sequence.table = Default::default();
            }
        }
        count
    }

    /// Versions that sequences are computed under.
    pub fn versions(&self) -> impl Iterator<Item = u64> + '_ {
        self.sequences.values().map(|sequence| sequence.version)
    }

    /// Drops cached blocks that no sequence references.
    pub fn clear_cached(&mut self) -> usize {
        self.kv.clear_cached()
    }

    /// Checks queues and block ledger against each other.
    ///
    /// # Errors
    /// A sentence about the first inconsistency.
    pub fn check(&self) -> Result<(), String> {
        if self.running.len() > self.limits.max_num_seqs {
            return Err(format!("{} sequences run", self.running.len()));
        }
        if self.running.len() + self.waiting.len() != self.sequences.len() {
            return Err("a sequence is neither waiting nor running, or both".into());
        }
        self.kv.check(self.sequences.values().map(|sequence| &sequence.table))
    }

    /// Versions with sequences: those above the last one stepped, ascending, then the others.
    fn versions_in_turn(&self) -> Vec<u64> {
        let versions: BTreeSet<u64> = self.versions().collect();
        let (above, others): (Vec<u64>, Vec<u64>) =
            versions.into_iter().partition(|version| *version > self.last_version);
        above.into_iter().chain(others).collect()
    }
}
