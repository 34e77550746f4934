//! Which rows of a step somebody waits for: those that tokens are drawn from or scored by, and those that are pooled.

use super::Engine;
use crate::request::Pooling;
use crate::scheduler::StepPlan;

use super::lists::Lists;
use super::live::Live;

/// Rows wanted of each sequence of a plan, counted from the sequence's first row in it.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    /// Those whose logits are.
    pub(super) logits: Lists<usize>,
    /// Those of which only the state is.
    pub(super) states: Lists<usize>,
}

impl Engine {
    /// Puts the rows of `plan` that are wanted into `wanted`: the last one's logits if it draws, all of a scored prompt;
    /// states of a pooled one.
    pub(super) fn want(&self, plan: &StepPlan, wanted: &mut Wanted) {
        wanted.logits.clear();
        wanted.states.clear();
        for rows in &plan.rows {
            let live = &self.live[&rows.id];
            let scored = |row: usize| {
                live.scoring
                    .as_ref()
                    .is_some_and(|scoring| scoring.wants(rows.start + row))
            };
            // A request that samples nothing needs no logits to draw from.
            let draws = !rows.draw.is_empty() && live.sampling.max_tokens > 0;
            let last = rows.len - 1;
            let drawn_or_scored = |row: &usize| scored(*row) || *row == last && draws;
            wanted.logits.push((0..rows.len).filter(drawn_or_scored));
            let pooled = live.pooled.as_ref();
            let pooled = |row: &usize| pooled.is_some_and(|pooled| pooled.wants(rows.start + row));
            wanted.states.push((0..rows.len).filter(pooled));
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
