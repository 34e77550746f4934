//! The integrity check of queues and blocks against each other.

use super::{Scheduler, SeqId};

impl Scheduler {
    /// Checks queues and block ledger against each other, in time proportional to sequences and blocks.
    ///
    /// # Errors
    /// A sentence about the first inconsistency.
    pub fn check(&self) -> Result<(), String> {
        if self.running.len() > self.limits.max_num_seqs {
            return Err(format!("{} sequences run", self.running.len()));
        }
        if !self.running.is_sorted() {
            return Err("running sequences are out of order".into());
        }
        let mut followers = 0;
        for (id, sequence) in &self.sequences {
            followers += sequence.followers.len();
            self.check_place(*id)?;
            let indexed = self.kv.check_indexed(&sequence.table, &sequence.tokens);
            indexed.map_err(|fault| format!("sequence {id}: {fault}"))?;
            for follower in &sequence.followers {
                if self.sequences.get(follower).and_then(|follower| follower.leader) != Some(*id) {
                    return Err(format!("sequence {follower} does not know that it follows {id}"));
                }
            }
        }
        if self.running.len() + self.queue.len() + followers != self.sequences.len() {
            return Err("a queue names a sequence that has ended".into());
        }
        self.kv.check(self.sequences.values().map(|sequence| &sequence.table))
    }

    /// A sequence runs, waits in the queue, or waits for its leader.
    fn check_place(&self, id: SeqId) -> Result<(), String> {
        let leader = self.sequences[&id].leader;
        if leader.is_some_and(|leader| !self.sequences.contains_key(&leader)) {
            return Err(format!("sequence {id} waits for a leader that has ended"));
        }
        let places = [
            self.is_running(id),
            self.queue.contains(self.rank(id)),
            leader.is_some(),
        ];
        match places.iter().filter(|place| **place).count() {
            1 => Ok(()),
            count => Err(format!(
                "sequence {id} stands in {count} of running, queue and followers"
            )),
        }
    }
}
