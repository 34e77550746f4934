//! Tokens as they are drawn, and what a controller does about them.

use super::world::{MOST_PREFIX, World};
use crate::kv::blocks_for;
use crate::scheduler::SeqId;

/// Most tokens that a controller forces at once.
const MOST_FORCED: usize = 20;

/// What a controller says about a drawn token. A controller of the engine acts on its sequence in one of these ways,
/// so a further verdict gets its arm in [`World::steer`].
enum Steering {
    Continue,
    Force(Vec<u32>),
    Abort,
    Fork,
}

impl World {
    pub(super) fn draw(&mut self, id: SeqId, hash: u64, version: u64) -> Result<(), String> {
        let Some(expected) = self.alive.get_mut(&id) else {
            return Err("draws after its end".into());
        };
        (expected.forked, expected.started) = (true, true);
        let unscored = |scores: super::scores::Scores| !scores.complete(expected.prompt.len());
        if expected.scores.is_some_and(unscored) {
            return Err("draws before its prompt has its scores".into());
        }
        // What samples nothing ends where it would draw.
        if expected.left == 0 {
            return self.finish(id);
        }
        let token = expected.draw(hash, version)?;
        if self.push(id, token)? {
            return Ok(());
        }
        match self.steer() {
            Steering::Continue => {}
            Steering::Force(run) => return self.force(id, &run, version),
            Steering::Abort => {
                self.tally.aborts += 1;
                self.end(id);
            }
            Steering::Fork => return self.fork(id),
        }
        Ok(())
    }

    /// Tells the scheduler of a token that its caller has taken; true if the sequence has ended with it.
    fn push(&mut self, id: SeqId, token: u32) -> Result<bool, String> {
        self.scheduler.push(id, token);
        let expected = &self.alive[&id];
        if self.scheduler.tokens(id) != expected.context {
            return Err("has other tokens than its caller saw".into());
        }
        let ended = expected.left == 0;
        if ended {
            self.finish(id)?;
        }
        Ok(ended)
    }

    fn finish(&mut self, id: SeqId) -> Result<(), String> {
        let expected = &self.alive[&id];
        if expected.alone() != expected.context {
            return Err("differs from itself alone".into());
        }
        self.tally.finished += 1;
        self.remember(id);
        self.end(id);
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
            0..3 => {
                let most = if self.random.once_in(2) { 1 } else { MOST_FORCED };
                let count = self.random.within(1, most);
                Steering::Force((0..count).map(|_| self.random.below(3) as u32).collect())
            }
            3 => Steering::Abort,
            4..12 => Steering::Fork,
            _ => Steering::Continue,
        }
    }

    /// The tokens come next, and the sequence may end within them.
    fn force(&mut self, id: SeqId, run: &[u32], version: u64) -> Result<(), String> {
        self.tally.forced[usize::from(run.len() > 1)] += 1;
        for token in run {
            let Some(expected) = self.alive.get_mut(&id) else { break };
            expected.force(*token, version);
            if self.push(id, *token)? {
                break;
            }
        }
        Ok(())
    }

    /// Another choice goes on from some place of this one, which keeps on: the calls are those of `Engine::fork`.
    fn fork(&mut self, id: SeqId) -> Result<(), String> {
        let Some(parent) = self.alive.get_mut(&id).filter(|parent| parent.forks_left > 0) else {
            return Ok(());
        };
        parent.forks_left -= 1;
        let at = self.random.within(0, parent.drawn.len());
        self.tally.forks[usize::from(at < parent.drawn.len())] += 1;
        self.tally.pinned[1] += usize::from(parent.pinned);
        let child = parent.fork(self.next, at);
        let len = child.context.len();
        self.scheduler.fork(id, self.next, len);
        if self.scheduler.tokens(self.next) != child.context {
            return Err("is forked with other tokens than its caller saw".into());
        }
        // All but the last token's row are shared.
        let shared = self.scheduler.block_table(id).take(blocks_for(len - 1));
        if !self.scheduler.block_table(self.next).eq(shared) {
            return Err("does not share its blocks with its fork".into());
        }
        self.alive.insert(self.next, child);
        self.next += 1;
        Ok(())
    }
}
