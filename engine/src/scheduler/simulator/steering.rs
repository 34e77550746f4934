//! Tokens as they are drawn, and what a controller does about them.

use super::world::{MOST_PREFIX, World};
use crate::scheduler::SeqId;

/// What a controller says about a drawn token. A controller of the engine acts on its sequence in one of these ways,
/// so a further verdict gets its arm in [`World::steer`].
enum Steering {
    Continue,
    Force(Vec<u32>),
    Abort,
    Fork,
}

impl World {
    pub(super) fn draw(&mut self, id: SeqId, token: u32, version: u64) -> Result<(), String> {
        let Some(expected) = self.alive.get_mut(&id) else {
            return Err("draws after its end".into());
        };
        (expected.forked, expected.started) = (true, true);
        expected.draw(token, version)?;
        self.scheduler.push(id, token);
        match self.steer() {
            Steering::Continue => {}
            Steering::Force(tokens) => self.force(id, &tokens),
            Steering::Abort => {
                self.tally.aborts += 1;
                self.end(id);
                return Ok(());
            }
            Steering::Fork => self.fork(id),
        }
        self.conclude(id)
    }

    /// Compares what both sides know of a sequence, and ends it if it has all its tokens.
    fn conclude(&mut self, id: SeqId) -> Result<(), String> {
        let expected = &self.alive[&id];
        if self.scheduler.tokens(id) != expected.context {
            return Err("has other tokens than its caller saw".into());
        }
        if expected.left == 0 {
            if expected.alone() != expected.context {
                return Err("differs from itself alone".into());
            }
            self.tally.finished += 1;
            self.remember(id);
            self.end(id);
        }
        Ok(())
    }

    /// Tokens that follow the drawn one, as many as there is room for.
    fn force(&mut self, id: SeqId, tokens: &[u32]) {
        let Some(expected) = self.alive.get_mut(&id) else {
            return;
        };
        for token in &tokens[..expected.left.min(tokens.len())] {
            self.tally.forced += 1;
            expected.force(*token);
            self.scheduler.push(id, *token);
        }
    }

    /// Later requests may go on from what was said here.
    fn remember(&mut self, id: SeqId) {
        if self.random.once_in(4) {
            let prefix = self.alive[&id].context.iter().take(MOST_PREFIX).copied().collect();
            let at = self.random.below(self.prefixes.len());
            self.prefixes[at] = prefix;
        }
    }

    fn steer(&mut self) -> Steering {
        match self.random.below(200) {
            0..3 => {
                let count = self.random.within(1, 20);
                Steering::Force((0..count).map(|_| self.random.below(3) as u32).collect())
            }
            3 => Steering::Abort,
            4..7 => Steering::Fork,
            _ => Steering::Continue,
        }
    }

    /// Another sequence goes on from some token of this one, perhaps the last of its prompt.
    fn fork(&mut self, id: SeqId) {
        let parent = &self.alive[&id];
        if self.alive.len() >= self.most_alive || parent.left == 0 {
            return;
        }
        let drawn = parent.drawn.len();
        let at = if self.random.once_in(2) {
            drawn
        } else {
            self.random.below(drawn + 1)
        };
        let child = parent.forked(self.next, at);
        self.tally.forks += 1;
        self.tally.rewinds += usize::from(at < drawn);
        self.scheduler.fork(id, self.next, child.context.len());
        self.alive.insert(self.next, child);
        self.next += 1;
    }
}
