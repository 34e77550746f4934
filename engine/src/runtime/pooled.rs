//! Hidden states of a prompt on their way into one vector.

use super::Engine;
use super::wanted::Wanted;
use crate::error::EngineError;
use crate::request::{Event, Pooling};
use crate::scheduler::StepPlan;

/// The states of one prompt so far.
#[derive(Debug)]
pub(super) struct Pooled {
    pooling: Pooling,
    /// Tokens of the prompt.
    len: usize,
    /// The position whose state comes next; states before it are in.
    next: usize,
    /// In f64 and in order of position, so that no chunking and no neighbour changes a bit.
    sum: Vec<f64>,
}

impl Pooled {
    /// Nothing yet, of a prompt of `len` tokens.
    pub(super) fn new(pooling: Pooling, len: usize) -> Self {
        Self {
            pooling,
            len,
            next: match pooling {
                Pooling::Mean => 0,
                Pooling::Last => len - 1,
            },
            sum: Vec::new(),
        }
    }

    pub(super) fn pooling(&self) -> Pooling {
        self.pooling
    }

    /// Whether the state at `position` is not in yet. After a preemption rows come again.
    pub(super) fn wants(&self, position: usize) -> bool {
        (self.next..self.len).contains(&position)
    }

    /// Takes the state at `position`.
    fn push(&mut self, position: usize, state: &[f32]) {
        if position != self.next || position >= self.len {
            return;
        }
        self.next += 1;
        self.sum.resize(state.len(), 0.0);
        for (sum, value) in self.sum.iter_mut().zip(state) {
            *sum += f64::from(*value);
        }
    }

    /// The vector, `[hidden]` f32, once every state is in.
    fn complete(&self) -> Option<Vec<f32>> {
        let count = match self.pooling {
            Pooling::Mean => self.len as f64,
            Pooling::Last => 1.0,
        };
        (self.next == self.len).then(|| self.sum.iter().map(|sum| (sum / count) as f32).collect())
    }
}

impl Engine {
    /// Takes the states of a step in and reports what is complete.
    pub(super) fn pool(&mut self, plan: &StepPlan, wanted: &Wanted) {
        let hidden = self.store.policy().config.hidden_size;
        let mut row = wanted.logits.total();
        for (rows, wanted) in plan.rows.iter().zip(wanted.states.iter()) {
            let first = row;
            row += wanted.len();
            let Some(live) = self.live.get_mut(&rows.id).filter(|_| !wanted.is_empty()) else {
                continue;
            };
            let Some(pooled) = &mut live.pooled else { continue };
            for (at, state) in wanted.iter().zip(self.states[first * hidden..].chunks_exact(hidden)) {
                pooled.push(rows.start + at, state);
            }
            match pooled.complete() {
                Some(state) if state.iter().all(|value| value.is_finite()) => live.send(Event::Pooled(state)),
                Some(_) => {
                    let position = rows.start + rows.len - 1;
                    let version = plan.version;
                    self.fail(rows.id, &EngineError::NonFiniteLogits { position, version });
                }
                None => {}
            }
        }
    }
}
