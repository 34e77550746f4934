//! What a plan may hold.

use super::world::World;
use crate::scheduler::{PlannedRows, StepPlan};

impl World {
    /// The bounds of a step hold, and rows that wait are left out only where one of them is reached.
    pub(super) fn check_plan(&self, plan: &StepPlan) -> Result<(), String> {
        let rows: usize = plan.rows.iter().map(|rows| rows.len).sum();
        if rows > self.limits.max_num_batched_tokens {
            return Err("a step has too many rows".into());
        }
        if self.scored_rows(plan) > self.limits.max_scored_rows {
            return Err("a step has too many scored rows".into());
        }
        let full = rows == self.limits.max_num_batched_tokens;
        let cut = |rows: &&PlannedRows| rows.len < self.pending(rows) && !self.may_cut(rows, plan);
        match plan.rows.iter().find(cut).filter(|_| !full) {
            None => Ok(()),
            Some(rows) => {
                let (id, len, pending) = (rows.id, rows.len, self.pending(rows));
                Err(format!(
                    "sequence {id} gets {len} of {pending} rows, and no bound is reached"
                ))
            }
        }
    }

    fn pending(&self, rows: &PlannedRows) -> usize {
        self.scheduler.tokens(rows.id).len() - rows.start
    }

    /// Whether the bound on scored rows, or that on prompts beside a stream of better priority, could cut these rows.
    fn may_cut(&self, rows: &PlannedRows, plan: &StepPlan) -> bool {
        let expected = &self.alive[&rows.id];
        let prompts = plan.rows.iter().filter(|rows| self.pending(rows) > 1);
        let held = prompts.map(|rows| rows.len).sum::<usize>() >= self.limits.max_prompt_rows_beside;
        let mut others = self.alive.values().filter(|other| other.version == plan.version);
        expected.scores.is_some() || held && others.any(|other| other.priority < expected.priority)
    }
}
