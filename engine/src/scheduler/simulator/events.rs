//! What befalls the simulated engine between its steps.

use std::sync::Arc;

use super::oracle::Expected;
use super::scores::Scores;
use super::slots::SALTS;
use super::world::{Flow, MOST_DRAWN, MOST_SUFFIX, World};
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
            _ => self.arrive(),
        }
    }

    /// A request: a prompt that may begin like others, one or several samples.
    fn arrive(&mut self) {
        let samples = if self.random.once_in(3) {
            self.random.within(2, 4)
        } else {
            1
        };
        let (first, greedy) = (self.request(), self.random.once_in(2));
        // The forks of a choice count as it comes.
        let taken: usize = self.alive.values().map(|other| 1 + other.forks_left).sum();
        let samples = samples.min((self.most_alive - taken) / (1 + first.forks_left));
        if samples == 0 {
            self.tally.refused += 1;
            return;
        }
        self.tally.arrivals += 1;
        self.tally.pinned[0] += usize::from(first.pinned);
        // Only the first sample reports scores.
        let scores = self.scores(first.prompt.len());
        for choice in 0..samples {
            let nothing = scores.is_some() && samples == 1 && self.random.once_in(4);
            let expected = Expected {
                left: if nothing { 0 } else { self.random.within(1, MOST_DRAWN) },
                key: if greedy { 0 } else { self.next + 1 },
                scores: scores.filter(|_| choice == 0),
                ..first.clone()
            };
            self.add(expected, (choice > 0).then_some(first.group));
        }
    }

    fn request(&mut self) -> Expected {
        let (group, random) = (self.next, &mut self.random);
        let mut prompt = self.prefixes[random.below(4)].clone();
        prompt.extend((0..random.within(1, MOST_SUFFIX)).map(|_| random.below(3) as u32));
        // What names its weights may name older ones; what follows the policy begins under it.
        let pinned = random.once_in(4);
        let back = if pinned { random.below(3) as u64 } else { 0 };
        Expected {
            context: prompt.clone(),
            prompt,
            drawn: Vec::new(),
            left: 0,
            key: 0,
            version: self.policy.saturating_sub(back).max(1),
            pinned,
            priority: [0, 0, 0, -3, 2, 7][random.below(6)],
            tenant: [0, 0, 1, 2][random.below(4)],
            scores: None,
            forks_left: if random.once_in(2) { random.within(1, 3) } else { 0 },
            group,
            forked: false,
            started: false,
            running: false,
            crossed: false,
            overtaken: 0,
            idle: 0,
        }
    }

    /// Scores of the whole prompt, or of its tokens from somewhere on.
    fn scores(&mut self, prompt_len: usize) -> Option<Scores> {
        let random = &mut self.random;
        match random.below(16) {
            0 => Some(Scores::new(0, true)),
            1 => Some(Scores::new(random.below(prompt_len), true)),
            2 => Some(Scores::new(0, false)),
            _ => None,
        }
    }

    fn add(&mut self, expected: Expected, leader: Option<SeqId>) {
        let new = NewSequence {
            tokens: expected.context.clone(),
            prompt_len: expected.prompt.len(),
            version: expected.version,
            salt: SALTS[expected.tenant].map(Arc::from),
            leader,
            scored_from: expected.scores.map(|scores| scores.from),
            pinned: expected.pinned,
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
            let stays = |expected: &Expected| expected.version == old && expected.pinned;
            self.tally.pinned[2] += usize::from(self.alive.values().any(stays));
            for expected in self.alive.values_mut().filter(|expected| expected.follows(old)) {
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
