//! Fairness: how often a sequence may be overtaken, and when one of better priority takes a running one's place.

use crate::kv::planted::{Defect, planted};

use super::{Scheduler, SeqId};

impl Scheduler {
    /// Counts for those in the queue that arrived before `id` that it was admitted ahead of them. One that was
    /// overtaken as often as the bound allows is due: it goes to the front, where only older due ones precede it.
    pub(super) fn count_overtakes(&mut self, id: SeqId) {
        if planted(Defect::ForgottenOvertakes) {
            return;
        }
        for rank in self.queue.older_than(id) {
            let Some(sequence) = self.sequences.get_mut(&rank.1) else {
                continue;
            };
            // What a pause holds back does not wait for those that run on.
            if self.hold_new && !sequence.started {
                continue;
            }
            sequence.overtaken = sequence.overtaken.saturating_add(1);
            let moved = sequence.rank(rank.1, self.limits.max_overtakes);
            if moved != rank {
                self.queue.remove(rank);
                self.queue.insert(moved);
            }
        }
    }

    /// Makes place and blocks for the first in the queue by preempting running sequences of worse priority, those that
    /// are last in rank first. Due ones keep their place, so no sequence gives way more often than the bound.
    pub(super) fn displace(&mut self, version: u64) {
        let Some(id) = self.next_waiting(version) else { return };
        let priority = self.sequences[&id].priority;
        let worse = |other: &SeqId| {
            let other = &self.sequences[other];
            other.priority > priority && !other.is_due(self.limits.max_overtakes)
        };
        let mut victims: Vec<SeqId> = self.running.iter().copied().filter(worse).collect();
        victims.sort_by_key(|victim| self.rank(*victim));
        while !victims.is_empty() && !self.has_room(id) {
            if let Some(victim) = victims.pop() {
                self.preempt(victim);
            }
        }
    }

    /// A place is free, and the blocks for its next rows.
    fn has_room(&mut self, id: SeqId) -> bool {
        if self.running.len() >= self.limits.max_num_seqs {
            return false;
        }
        let sequence = &self.sequences[&id];
        let rows = |written: usize| (sequence.tokens.len() - written).min(self.limits.max_num_batched_tokens);
        let missing = if sequence.table.is_empty() {
            let found = self
                .kv
                .attach(sequence.version, sequence.salt.as_ref(), sequence.reusable());
            // Blocks found idle become used, so they count until the attempt is dropped.
            return found.missing(found.len() + rows(found.len())) <= self.kv.available();
        } else {
            let written = sequence.table.len();
            sequence.table.missing(written + rows(written))
        };
        missing <= self.kv.available()
    }
}
