//! Which rows the next step computes: continuous batching with chunked prefill, preemption by recompute, and one prompt
//! computed for all samples of a request.
//!
//! Knows no tensors, no clocks and no text, so it runs in a simulator. A step batches rows of one weight version.
//!
//! Order of service: lower `priority` first, then arrival. A sequence that [`Limits::max_overtakes`] later ones were
//! admitted ahead of is due and goes to the front. Blocks run out: the last in that order is preempted. A waiting
//! sequence takes the place of a running one of worse priority.

mod admit;
mod check;
mod fair;
mod queue;
mod sequence;
#[cfg(test)]
mod simulator;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use queue::WaitQueue;
use sequence::Sequence;
pub use sequence::{NewSequence, SeqId};

use crate::kv::planted::{Defect, planted};
use crate::kv::{BlockCopy, KvBlocks};

/// Bounds of a step.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Sequences that run at once.
    pub max_num_seqs: usize,
    /// Rows of one step.
    pub max_num_batched_tokens: usize,
    /// Rows of one step that score given tokens: each takes a row of logits.
    pub max_scored_rows: usize,
    /// Prompt rows of worse priority in a step in which a sequence of better priority decodes.
    pub max_prompt_rows_beside: usize,
    /// Later arrivals that may be admitted ahead of a waiting sequence.
    pub max_overtakes: u32,
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

/// What is left of a step.
#[derive(Debug, Clone, Copy)]
struct Budget {
    rows: usize,
    scored: usize,
    beside: Option<Beside>,
}

/// A bound on prompt rows, so that a decoding sequence does not wait long for its next step.
#[derive(Debug, Clone, Copy)]
struct Beside {
    /// Priority of the sequence that decodes; it holds for worse ones.
    priority: i32,
    rows: usize,
}

/// Sequences, waiting and running, and their blocks.
#[derive(Debug)]
pub struct Scheduler {
    limits: Limits,
    kv: KvBlocks,
    /// Ordered, so that a seed of the simulator gives the same run again.
    sequences: BTreeMap<SeqId, Sequence>,
    /// Those that wait and have no leader to wait for.
    queue: WaitQueue,
    /// By arrival.
    running: Vec<SeqId>,
    /// Only sequences that have started are admitted.
    hold_new: bool,
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
            sequences: BTreeMap::new(),
            queue: WaitQueue::default(),
            running: Vec::new(),
            hold_new: false,
            last_version: 0,
            preemptions: 0,
            prefix_queries: 0,
            prefix_hits: 0,
        }
    }

    /// Queues a sequence. One with a leader waits for the leader's prompt.
    pub fn add(&mut self, id: SeqId, new: NewSequence) {
        debug_assert!(!new.tokens.is_empty() && new.prompt_len <= new.tokens.len());
        let waits = |leader: &&mut Sequence| !leader.prompt_done() && leader.leader.is_none();
        let leader = new.leader.filter(|leader| {
            let leader = self.sequences.get_mut(leader).filter(waits);
            leader.map(|leader| leader.followers.push(id)).is_some()
        });
        self.sequences.insert(id, Sequence::new(new, leader));
        if leader.is_none() {
            self.queue.insert(self.rank(id));
        }
    }

    /// Sequences waiting.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.sequences.len() - self.running.len()
    }

    /// Sequences running.
    #[must_use]
    pub fn running(&self) -> usize {
        self.running.len()
    }

    /// Whether the sequence runs; otherwise it waits.
    #[must_use]
    pub fn is_running(&self, id: SeqId) -> bool {
        self.running.binary_search(&id).is_ok()
    }

    /// Sequences that have started and not ended, preempted ones and samples that share a started prompt included.
    #[must_use]
    pub fn started(&self) -> usize {
        self.sequences.values().filter(|sequence| sequence.started).count()
    }

    /// Admits only sequences that have started, or all again.
    pub fn hold_new(&mut self, hold: bool) {
        self.hold_new = hold;
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

    /// Ids of all sequences, by arrival.
    pub fn ids(&self) -> impl Iterator<Item = SeqId> + '_ {
        self.sequences.keys().copied()
    }

    /// Prompt and sampled tokens of a sequence.
    #[must_use]
    pub fn tokens(&self, id: SeqId) -> &[u32] {
        &self.sequences[&id].tokens
    }

    /// Block numbers of a sequence.
    pub fn block_table(&self, id: SeqId) -> impl Iterator<Item = u32> + '_ {
        self.sequences[&id].table.ids()
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
            self.displace(version);
            let beside = self.beside(version);
            self.fill(&mut plan, beside);
            if plan.rows.is_empty() && beside.is_some() {
                // What decodes got no block, so it is no reason to hold back prompts.
                self.fill(&mut plan, None);
            }
            if !plan.rows.is_empty() {
                return Some(plan);
            }
        }
        None
    }

    fn fill(&mut self, plan: &mut StepPlan, beside: Option<Beside>) {
        let mut budget = Budget {
            rows: self.limits.max_num_batched_tokens,
            scored: self.limits.max_scored_rows,
            beside,
        };
        self.plan_running(plan, &mut budget);
        self.plan_waiting(plan, &mut budget);
    }

    /// The bound that the decoding sequence of the best priority sets, if one decodes.
    fn beside(&self, version: u64) -> Option<Beside> {
        let running = self.running.iter().map(|id| &self.sequences[id]);
        let decoding = running.filter(|sequence| sequence.version == version && sequence.pending() == 1);
        decoding.map(|sequence| sequence.priority).min().map(|priority| Beside {
            priority,
            rows: self.limits.max_prompt_rows_beside,
        })
    }

    /// Notes that `plan` was computed: rows are written, followers share their leader's prompt.
    pub fn computed(&mut self, plan: &StepPlan) {
        for rows in &plan.rows {
            let Some(sequence) = self.sequences.get_mut(&rows.id) else {
                continue;
            };
            let misnoted = sequence.pinned && planted(Defect::PinnedIndexed);
            sequence.table.advance(rows.len, plan.version + u64::from(misnoted));
            let salt = sequence.salt.clone();
            let mut table = std::mem::take(&mut sequence.table);
            self.kv
                .register(&mut table, salt.as_ref(), &self.sequences[&rows.id].tokens);
            if let Some(sequence) = self.sequences.get_mut(&rows.id) {
                sequence.table = table;
            }
            if !rows.draw.is_empty() {
                self.release_followers(rows.id);
            }
        }
    }

    /// The followers of a computed prompt share its blocks and go their own way from here.
    fn release_followers(&mut self, id: SeqId) {
        let Some(leader) = self.sequences.get_mut(&id) else {
            return;
        };
        let (followers, overtaken) = (std::mem::take(&mut leader.followers), leader.overtaken);
        for follower in followers {
            let table = self.sequences[&id].table.fork();
            if let Some(sequence) = self.sequences.get_mut(&follower) {
                (sequence.leader, sequence.table) = (None, table);
                (sequence.overtaken, sequence.started) = (overtaken, true);
            }
            self.queue.insert(self.rank(follower));
        }
    }

    /// The prompt's scores are complete: should it be computed once more, its rows are like any others.
    pub fn scored(&mut self, id: SeqId) {
        if let Some(sequence) = self.sequences.get_mut(&id) {
            sequence.scored_from = None;
        }
    }

    /// Appends a drawn token.
    pub fn push(&mut self, id: SeqId, token: u32) {
        if let Some(sequence) = self.sequences.get_mut(&id) {
            sequence.tokens.push(token);
        }
    }

    /// Adds a sequence `child` that begins with the first `len` tokens of `parent`, which has written all but its last, and
    /// shares the blocks. It waits for its turn as one that has started.
    pub fn fork(&mut self, parent: SeqId, child: SeqId, len: usize) {
        let Some(sequence) = self.sequences.get(&parent) else {
            return;
        };
        let new = NewSequence {
            tokens: sequence.tokens[..len].to_vec(),
            prompt_len: sequence.prompt_len,
            version: sequence.version,
            salt: sequence.salt.clone(),
            leader: None,
            scored_from: sequence.scored_from.filter(|_| planted(Defect::ForkedScores)),
            pinned: sequence.pinned,
            priority: sequence.priority,
        };
        let mut forked = Sequence::new(new, None);
        // The last token's row is computed anew: its logits are what the child draws from.
        forked.table = sequence.table.fork_at(len.saturating_sub(1));
        forked.started = true;
        self.sequences.insert(child, forked);
        self.queue.insert(self.rank(child));
    }

    /// Forgets a sequence and frees its blocks. If samples waited for its prompt, the first of them takes over.
    pub fn remove(&mut self, id: SeqId) {
        let Some(sequence) = self.sequences.get(&id) else {
            return;
        };
        let leader = sequence.leader;
        match leader.and_then(|leader| self.sequences.get_mut(&leader)) {
            Some(leader) => leader.followers.retain(|other| *other != id),
            None => self.queue.remove(self.rank(id)),
        }
        self.running.retain(|other| *other != id);
        let Some(gone) = self.sequences.remove(&id) else { return };
        let mut heirs = gone.followers.into_iter();
        let Some(heir) = heirs.next().filter(|_| !planted(Defect::LostHeir)) else {
            return;
        };
        let others: Vec<SeqId> = heirs.collect();
        for other in &others {
            if let Some(sequence) = self.sequences.get_mut(other) {
                sequence.leader = Some(heir);
            }
        }
        if let Some(sequence) = self.sequences.get_mut(&heir) {
            (sequence.leader, sequence.followers) = (None, others);
            (sequence.overtaken, sequence.started) = (gone.overtaken, gone.started);
        }
        self.queue.insert(self.rank(heir));
    }

    /// Moves the sequences of version `from` to version `to`; with `recompute` their KV is computed anew. Returns how
    /// many of them had started.
    pub fn set_version(&mut self, from: u64, to: u64, recompute: bool) -> usize {
        let moving =
            |sequence: &Sequence| sequence.version == from && (!sequence.pinned || planted(Defect::PinnedMoved));
        let started = |sequence: &&Sequence| moving(sequence) && !sequence.table.is_empty();
        let count = self.sequences.values().filter(started).count();
        if recompute {
            self.requeue(moving);
        }
        for sequence in self.sequences.values_mut().filter(|sequence| moving(sequence)) {
            sequence.version = to;
        }
        count
    }

    /// Drops the KV of every sequence and all cached blocks: what goes on is computed anew. Returns how many cached
    /// blocks there were.
    pub fn clear_kv(&mut self) -> usize {
        self.requeue(|_| true);
        self.clear_cached()
    }

    /// Takes places and blocks of the sequences that `moving` names.
    fn requeue(&mut self, moving: impl Fn(&Sequence) -> bool) {
        let (back, stay): (Vec<SeqId>, Vec<SeqId>) = self.running.iter().partition(|id| moving(&self.sequences[*id]));
        self.running = stay;
        for id in back {
            self.queue.insert(self.rank(id));
        }
        for sequence in self.sequences.values_mut().filter(|sequence| moving(sequence)) {
            if !planted(Defect::StaleKv) {
                sequence.table = Default::default();
            }
        }
    }

    /// Versions that sequences are computed under.
    pub fn versions(&self) -> impl Iterator<Item = u64> + '_ {
        self.sequences.values().map(|sequence| sequence.version)
    }

    /// Drops cached blocks that no sequence references.
    pub fn clear_cached(&mut self) -> usize {
        self.kv.clear_cached()
    }

    /// Versions with sequences: those above the last one stepped, ascending, then the others.
    fn versions_in_turn(&self) -> Vec<u64> {
        let versions: BTreeSet<u64> = self.versions().collect();
        let (above, others): (Vec<u64>, Vec<u64>) =
            versions.into_iter().partition(|version| *version > self.last_version);
        above.into_iter().chain(others).collect()
    }
}
