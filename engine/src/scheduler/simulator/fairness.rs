//! Who runs and who waits, by the simulator's own accounting.

use std::collections::BTreeMap;

use super::world::{Flow, MOST_DRAWN, MOST_PREFIX, MOST_SUFFIX, World};
use crate::scheduler::{SeqId, StepPlan};

impl World {
    /// Steps that a sequence may go without rows while it could have had some. Each such step gives rows to a sequence
    /// that is served before it: one of those that were there when it came, or of the later ones that may overtake it.
    /// Each of them needs a step for every token that it draws and for every part of its prompt, of both half of the
    /// most on average. Several have rows in one step only where they are of the same version, so that is not counted
    /// on; it makes up for the steps that compute a preempted one anew. The longest wait of seeds 0 to 999 is 0.87 of
    /// its bound.
    fn most_idle(&self) -> usize {
        let part = self
            .limits
            .max_num_batched_tokens
            .min(self.limits.max_prompt_rows_beside);
        let service = MOST_DRAWN + (MOST_PREFIX + MOST_SUFFIX).div_ceil(part);
        (self.most_alive + self.limits.max_overtakes as usize) * service / 2
    }

    /// Notes who runs since the last step, who was overtaken and who had nothing to do.
    pub(super) fn note_places(&mut self, plan: &StepPlan) -> Result<(), String> {
        let mut heads: BTreeMap<SeqId, SeqId> = BTreeMap::new();
        for (id, expected) in self.alive.iter().filter(|(_, expected)| !expected.forked) {
            heads.entry(expected.group).or_insert(*id);
        }
        let most_idle = self.most_idle();
        let held = self.flow == Flow::Draining;
        let mut admitted = Vec::new();
        for (id, expected) in &mut self.alive {
            let runs = self.scheduler.is_running(*id);
            if runs && !expected.running {
                if held && !expected.started {
                    return Err(format!("sequence {id} starts while new ones are held back"));
                }
                admitted.push(*id);
                expected.started = true;
            }
            expected.running = runs;
        }
        for (id, expected) in &mut self.alive {
            let ready = expected.forked || heads.get(&expected.group) == Some(id);
            let could = ready && (!held || expected.started);
            let planned = plan.rows.iter().any(|rows| rows.id == *id);
            if could && !expected.running {
                let ahead = admitted.iter().filter(|other| *other > id).count();
                expected.overtaken += u32::try_from(ahead).unwrap_or(u32::MAX);
            }
            expected.idle = if could && !planned { expected.idle + 1 } else { 0 };
            self.tally.most_overtaken = self.tally.most_overtaken.max(expected.overtaken);
            self.tally.most_idle_steps = self.tally.most_idle_steps.max(expected.idle);
            if expected.overtaken > self.limits.max_overtakes {
                return Err(format!("sequence {id} was overtaken {} times", expected.overtaken));
            }
            if expected.idle > most_idle {
                return Err(format!("sequence {id} had no rows for {most_idle} steps"));
            }
        }
        Ok(())
    }
}
