//! What a request scores of its prompt, and whether it gets that.

use super::world::World;
use crate::scheduler::{PlannedRows, StepPlan};

/// The scores of a prompt so far.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scores {
    /// First token scored.
    pub(super) from: usize,
    /// The next one that has no score yet.
    next: usize,
    /// The scheduler hears when they are complete. It does not of a mean over the prompt's states.
    told: bool,
}

impl Scores {
    /// None yet of those from token `from` on. The first token of a prompt has no logprob.
    pub(super) fn new(from: usize, told: bool) -> Self {
        let next = from.max(1);
        Self { from, next, told }
    }

    pub(super) fn complete(&self, prompt_len: usize) -> bool {
        self.next >= prompt_len
    }

    /// Rows of a step that score a token which has no score yet: the row before it does.
    fn wanted(&self, rows: &PlannedRows, prompt_len: usize) -> usize {
        let first = rows.start.max(self.next - 1);
        (rows.start + rows.len).min(prompt_len - 1).saturating_sub(first)
    }
}

impl World {
    /// Rows of a plan that score something.
    pub(super) fn scored_rows(&self, plan: &StepPlan) -> usize {
        let of = |rows: &PlannedRows| {
            let expected = &self.alive[&rows.id];
            let scores = expected.scores.as_ref();
            scores.map_or(0, |scores| scores.wanted(rows, expected.prompt.len()))
        };
        plan.rows.iter().map(of).sum()
    }

    /// Takes the scores of a step, as the engine does before anything is drawn.
    pub(super) fn score(&mut self, plan: &StepPlan) -> Result<(), String> {
        for rows in &plan.rows {
            let Some(expected) = self.alive.get_mut(&rows.id) else {
                continue;
            };
            let Some(scores) = &mut expected.scores else { continue };
            let prompt_len = expected.prompt.len();
            if rows.start >= scores.next && !scores.complete(prompt_len) {
                return Err(format!(
                    "sequence {} goes on without the score of {}",
                    rows.id, scores.next
                ));
            }
            scores.next += scores.wanted(rows, prompt_len);
            if scores.complete(prompt_len) && scores.told {
                self.tally.scored += 1;
                expected.scores = None;
                self.scheduler.scored(rows.id);
            }
        }
        Ok(())
    }
}
