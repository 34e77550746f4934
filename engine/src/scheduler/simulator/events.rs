//! What befalls the simulated engine between its steps.

use std::sync::Arc;

use super::oracle::Expected;
use super::world::{Flow, World};
use crate::kv::planted::deny;
use crate::scheduler::{NewSequence, SeqId};

impl World {
    pub(super) fn event(&mut self) {
        // A pause lasts a few events.
        if self.flow != Flow::Running && self.random.once_in(4) {
            return self.resume();
        }
        match self.random.below(100) {
            0..5 => self.abort(),
            5..11 => self.swap(),
            11..14 => self.pause(),
            14..20 => {
                let count = self.random.within(1, 6);
                self.tally.denials += count;
                deny(count);
            }
            20..22 => {
                self.tally.cleared += 1;
                self.scheduler.clear_cached();
            }
            22 => {
                self.scheduler.clear_kv();
                for expected in self.alive.values_mut() {
                    (expected.running, expected.crossed) = (false, false);
                }
            }
            _ if self.alive.len() < self.most_alive => self.arrive(),
            _ => self.tally.refused += 1,
        }
    }

    /// A request: a prompt that may begin like others, one or several samples.
    fn arrive(&mut self) {
        self.tally.arrivals += 1;
        let random = &mut self.random;
        let mut prompt = self.prefixes[random.below(4)].clone();
        prompt.extend((0..random.within(1, 20)).map(|_| random.below(3) as u32));
        let group = self.next;
        let samples = if random.once_in(3) { random.within(2, 4) } else { 1 };
        let back = if random.once_in(5) { random.below(3) as u64 } else { 0 };
        let expected = Expected {
            context: prompt.clone(),
            prompt,
            drawn: Vec::new(),
            left: 0,
            version: self.policy.saturating_sub(back).max(1),
            priority: [0, 0, 0, -3, 2, 7][random.below(6)],
            tenant: [0, 0, 1, 2][random.below(4)],
            group,
            forked: false,
            started: false,
            running: false,
            crossed: false,
            overtaken: 0,
            idle: 0,
        };
        let whole_prompt = random.once_in(12);
        for _ in 0..samples {
            let left = self.random.within(1, 50);
            self.add(
                Expected {
                    left,
                    ..expected.clone()
                },
                Some(group),
                whole_prompt,
            );
        }
    }

    pub(super) fn add(&mut self, expected: Expected, leader: Option<SeqId>, whole_prompt: bool) {
        let salts = [None, Some("a"), Some("b")];
        let new = NewSequence {
            tokens: expected.context.clone(),
            prompt_len: expected.prompt.len(),
            version: expected.version,
            salt: salts[expected.tenant].map(Arc::from),
            leader: leader.filter(|leader| *leader != self.next),
            scored_from: whole_prompt.then_some(0),
            pinned: false,
            priority: expected.priority,
        };
        self.scheduler.add(self.next, new);
        self.alive.insert(self.next, expected);
        self.next += 1;
    }

    fn abort(&mut self) {
        let at = self.random.below(self.alive.len().max(1));
        if let Some(id) = self.alive.keys().copied().nth(at) {
            self.end(id);
            self.tally.aborts += 1;
        }
    }

    pub(super) fn end(&mut self, id: SeqId) {
        self.scheduler.remove(id);
        let Some(gone) = self.alive.remove(&id) else { return };
        // The first sample that waited for its prompt takes its place.
        let heir = self
            .alive
            .values_mut()
            .find(|other| other.group == gone.group && !other.forked);
        if let Some(heir) = heir.filter(|_| !gone.forked) {
            heir.started |= gone.started;
        }
    }

    fn swap(&mut self) {
        let policy = self.random.below(3);
        let old = self.policy;
        self.policy += 1;
        self.tally.swaps[policy] += 1;
        let (keep, recompute) = (policy == 0, policy == 1);
        if keep || recompute {
            self.scheduler.set_version(old, self.policy, recompute);
            for expected in self.alive.values_mut().filter(|expected| expected.version == old) {
                expected.version = self.policy;
                expected.running &= keep;
                expected.crossed = keep;
            }
        }
    }

    fn pause(&mut self) {
        let mode = self.random.below(3);
        self.tally.pauses[mode] += 1;
        self.scheduler.hold_new(mode == 1);
        self.flow = if mode == 1 { Flow::Draining } else { Flow::Frozen };
        if mode == 2 {
            let ids: Vec<SeqId> = self.alive.keys().copied().collect();
            ids.into_iter().for_each(|id| self.end(id));
        }
    }

    pub(super) fn resume(&mut self) {
        self.flow = Flow::Running;
        self.scheduler.hold_new(false);
    }
}
