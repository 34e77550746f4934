//! Filling a step: running sequences first (decodes before prefills), then waiting ones, until rows or blocks run out.

use super::queue::{Class, Rank};
use super::{Budget, PlannedRows, Scheduler, SeqId, StepPlan};

impl Scheduler {
    /// Plans rows for running sequences of the step's version, preempting the last in rank when blocks run out.
    pub(super) fn plan_running(&mut self, plan: &mut StepPlan, budget: &mut Budget) {
        let mut order: Vec<SeqId> = self.running.clone();
        order.retain(|id| self.sequences[id].version == plan.version);
        order.sort_by_key(|id| (self.sequences[id].pending() > 1, self.rank(*id)));
        for id in order {
            if budget.rows == 0 {
                return;
            }
            // It may have been preempted for one planned before it.
            while self.is_running(id) && self.fits(id, *budget) && !self.plan_rows(id, plan, budget) {
                if !self.make_room(id, plan) {
                    break;
                }
            }
        }
    }

    /// Admits waiting sequences of the step's version in order of service.
    pub(super) fn plan_waiting(&mut self, plan: &mut StepPlan, budget: &mut Budget) {
        while budget.rows > 0 && self.running.len() < self.limits.max_num_seqs {
            let Some(id) = self.next_waiting(plan.version) else {
                return;
            };
            let fresh = self.sequences[&id].table.is_empty();
            if fresh {
                self.attach(id);
            }
            // One whose scores do not fit this step keeps its place in the queue.
            let fits = self.fits(id, *budget);
            if !fits || !self.plan_rows(id, plan, budget) {
                if fresh && let Some(sequence) = self.sequences.get_mut(&id) {
                    sequence.table = Default::default();
                }
                if !fits || !plan.rows.is_empty() || !self.release_waiting(id) {
                    return;
                }
                continue;
            }
            if fresh {
                self.count_prefix(id);
            }
            self.admit(id);
        }
    }

    /// The first in the queue that may be admitted under `version`. None while a due one of another version waits: it
    /// would be overtaken.
    pub(super) fn next_waiting(&self, version: u64) -> Option<SeqId> {
        for (class, id) in self.queue.iter() {
            let sequence = &self.sequences[&id];
            if self.hold_new && !sequence.started {
                continue;
            }
            if sequence.version == version {
                return Some(id);
            }
            if class == Class::Due {
                return None;
            }
        }
        None
    }

    fn admit(&mut self, id: SeqId) {
        self.queue.remove(self.rank(id));
        let place = self.running.partition_point(|other| *other < id);
        self.running.insert(place, id);
        if let Some(sequence) = self.sequences.get_mut(&id) {
            sequence.started = true;
        }
        self.count_overtakes(id);
    }

    /// Gives a sequence the cached prefix of its tokens.
    fn attach(&mut self, id: SeqId) {
        if let Some(sequence) = self.sequences.get_mut(&id) {
            sequence.table = self
                .kv
                .attach(sequence.version, sequence.salt.as_ref(), sequence.reusable());
        }
    }

    fn count_prefix(&mut self, id: SeqId) {
        let sequence = &self.sequences[&id];
        // The rows just planned are reserved but not written, so the length is what was found.
        self.prefix_queries += sequence.tokens.len() as u64;
        self.prefix_hits += sequence.table.len() as u64;
    }

    /// Whether the budget has room for a row of the sequence; blocks are another matter.
    fn fits(&self, id: SeqId, budget: Budget) -> bool {
        self.sequences[&id].rows_within(budget) > 0
    }

    /// Plans as many pending rows as the budget and the blocks allow; false if not one could be had.
    fn plan_rows(&mut self, id: SeqId, plan: &mut StepPlan, budget: &mut Budget) -> bool {
        let Some(sequence) = self.sequences.get_mut(&id) else {
            return false;
        };
        let start = sequence.table.len();
        let len = sequence.rows_within(*budget);
        let (prompt, priority) = (sequence.pending() > 1, sequence.priority);
        let Ok(copy) = sequence.table.reserve(start + len, &mut self.kv) else {
            return false;
        };
        let scored = sequence.scored_rows(start + len);
        let complete = start + len == sequence.tokens.len();
        plan.copies.extend(copy);
        let mut draw = Vec::new();
        if complete {
            draw.push(id);
            draw.extend(&sequence.followers);
        }
        plan.rows.push(PlannedRows { id, start, len, draw });
        budget.rows -= len;
        let held = budget
            .beside
            .as_mut()
            .filter(|beside| prompt && priority > beside.priority);
        if let Some(beside) = held {
            beside.rows -= len;
        }
        budget.scored -= scored;
        true
    }

    /// Frees blocks for `id`: those of waiting sequences first, then of the running one that is last in rank and not
    /// planned yet. False if `id` itself had to give way or nothing is left.
    fn make_room(&mut self, id: SeqId, plan: &StepPlan) -> bool {
        if self.release_waiting(id) {
            return true;
        }
        let planned = |other: &SeqId| plan.rows.iter().any(|rows| rows.id == *other);
        let candidates = self.running.iter().copied().filter(|other| !planned(other));
        let Some((_, victim)) = candidates.map(|other| self.rank(other)).max() else {
            return false;
        };
        self.preempt(victim);
        victim != id
    }

    /// Takes the blocks of a waiting sequence (a sample that shares a prompt but has not started); its KV is recomputed.
    pub(super) fn release_waiting(&mut self, except: SeqId) -> bool {
        let holder = self
            .queue
            .iter()
            .rev()
            .find(|(_, other)| *other != except && !self.sequences[other].table.is_empty());
        let Some(sequence) = holder.and_then(|(_, holder)| self.sequences.get_mut(&holder)) else {
            return false;
        };
        sequence.table = Default::default();
        self.preemptions += 1;
        true
    }

    /// Takes place and blocks of a running sequence; its KV is recomputed when its turn comes again.
    pub(super) fn preempt(&mut self, id: SeqId) {
        self.running.retain(|other| *other != id);
        if let Some(sequence) = self.sequences.get_mut(&id) {
            sequence.table = Default::default();
        }
        self.queue.insert(self.rank(id));
        self.preemptions += 1;
    }

    pub(super) fn rank(&self, id: SeqId) -> Rank {
        self.sequences[&id].rank(id, self.limits.max_overtakes)
    }
}
