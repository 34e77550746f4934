//! Which rows of a step somebody waits for: those that tokens are drawn from or scored by, and those that are pooled.

use super::Engine;
use crate::request::Pooling;
use crate::scheduler::StepPlan;

use super::live::Live;

/// Rows wanted of each sequence of a plan, counted from the sequence's first row in it.
#[derive(Debug)]
pub(super) struct Wanted {
    /// Those whose logits are.
    pub(super) logits: Vec<Vec<usize>>,
    /// Those of which only the state is.
    pub(super) states: Vec<Vec<usize>>,
}

impl Engine {
    /// Rows of `plan` that are wanted: the last one's logits if it draws, all of a scored prompt; states of a pooled one.
    pub(super) fn wanted(&self, plan: &StepPlan) -> Wanted {
        let logits = plan.rows.iter().map(|rows| {
            let live = &self.live[&rows.id];
            let scored = |row: usize| {
                live.scoring
                    .as_ref()
                    .is_some_and(|scoring| scoring.wants(rows.start + row))
            };
            // A request that samples nothing needs no logits to draw from.
            let draws = !rows.draw.is_empty() && live.sampling.max_tokens > 0;
            let last = rows.len - 1;
            (0..rows.len)
                .filter(|row| scored(*row) || *row == last && draws)
                .collect()
        });
        let states = plan.rows.iter().map(|rows| {
            let pooled = self.live[&rows.id].pooled.as_ref();
            let wants = |row: &usize| pooled.is_some_and(|pooled| pooled.wants(rows.start + row));
            (0..rows.len).filter(wants).collect()
        });
        Wanted {
            logits: logits.collect(),
            states: states.collect(),
        }
    }
}

impl Live {
    /// The position from which on every row of the prompt is wanted: none of them may come from the prefix cache.
    pub(super) fn wanted_from(&self, score_from: Option<usize>) -> Option<usize> {
        let scored = self.scoring.is_some().then(|| score_from.unwrap_or(0));
        let pooled = self.pooled.as_ref().filter(|pooled| pooled.pooling() == Pooling::Mean);
        scored.or(pooled.map(|_| 0))
    }
}
