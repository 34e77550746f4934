//! Tokens as they are drawn, and what a controller does about them.

use super::oracle::Expected;
use super::world::{MOST_PREFIX, World};
use crate::scheduler::SeqId;

/// What a controller says about a drawn token. A controller of the engine acts on its sequence in one of these ways,
/// so a further verdict gets its arm in [`World::steer`].
enum Steering {
    Continue,
    Force(u32),
    Abort,
    Fork,
}

impl World {
    pub(super) fn draw(&mut self, id: SeqId, token: u32, version: u64) -> Result<(), String> {
        let steering = self.steer();
        let Some(expected) = self.alive.get_mut(&id) else {
            return Err("draws after its end".into());
        };
        (expected.forked, expected.started) = (true, true);
        let forced = if let Steering::Force(forced) = steering {
            Some(forced)
        } else {
            None
        };
        expected.draw(token, version, forced)?;
        let pushed = forced.unwrap_or(token);
        self.scheduler.push(id, pushed);
        if self.scheduler.tokens(id) != expected.context {
            return Err("has other tokens than its caller saw".into());
        }
        match steering {
            Steering::Abort => {
                self.tally.aborts += 1;
                self.end(id);
            }
            _ if expected.left == 0 => {
                if expected.alone() != expected.context {
                    return Err("differs from itself alone".into());
                }
                self.tally.finished += 1;
                self.remember(id);
                self.end(id);
            }
            Steering::Fork if self.alive.len() < self.most_alive => self.fork(id),
            Steering::Force(_) => self.tally.forced += 1,
            Steering::Continue | Steering::Fork => {}
        }
        Ok(())
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
            0..3 => Steering::Force(self.random.below(3) as u32),
            3 => Steering::Abort,
            4..6 => Steering::Fork,
            _ => Steering::Continue,
        }
    }

    /// Another sequence goes on from where this one is.
    fn fork(&mut self, id: SeqId) {
        self.tally.forks += 1;
        let expected = Expected {
            group: self.next,
            forked: false,
            started: false,
            running: false,
            crossed: false,
            overtaken: 0,
            idle: 0,
            ..self.alive[&id].clone()
        };
        self.add(expected, None, false);
    }
}
