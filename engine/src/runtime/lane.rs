//! Serving and training on the same cores: what a small step borrows from a training that computes, and how often.
//!
//! A step of a few rows waits for memory, of which half of the cores get most; so it borrows those, and the training goes on
//! with the others, also where only one of its threads has work. With more threads than cores a step would take two to four
//! times as long, and never twice the same. Between such steps the engine rests, so that training keeps most of the machine
//! and the gaps of a stream are even.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::ops::{Lent, Team};

/// Steps of at most so many rows are small.
const FEW_ROWS: usize = 4;
/// Longest distance between two small steps.
const MAX_DISTANCE: Duration = Duration::from_secs(1);
/// By how much a step may take longer than the least of late before it counts as held up.
const DRIFT: f64 = 1.02;

/// What the engine knows of trainings on its cores.
#[derive(Debug)]
pub(super) struct Lane {
    /// Of the cores' time, what small steps may take.
    share: f64,
    /// Cores of a small step, and all of them.
    cores: (usize, usize),
    trainings: Vec<Arc<Team>>,
    /// What a small step takes that nothing delays: the least of late.
    typical: Option<Duration>,
    /// When the next small step is due.
    due: Option<Instant>,
}

impl Lane {
    /// A lane for steps of teams of `cores` threads, small ones and all others.
    pub(super) fn new(share: f64, cores: (usize, usize)) -> Self {
        Self {
            share,
            cores,
            trainings: Vec::new(),
            typical: None,
            due: None,
        }
    }

    /// The trainings that compute now.
    pub(super) fn beside(&mut self, trainings: Vec<Arc<Team>>) {
        self.trainings = trainings;
        if self.trainings.is_empty() {
            (self.typical, self.due) = (None, None);
        }
    }

    /// The cores that trainings lend to a step of `rows`, if it is small and beside any.
    pub(super) fn enter(&self, rows: usize) -> Option<Vec<Lent>> {
        let small = rows <= FEW_ROWS && !self.trainings.is_empty();
        small.then(|| self.trainings.iter().map(|team| team.lend(self.cores.0)).collect())
    }

    /// A step has ended; if it was a small one, it began at `began`. Such steps begin at even distances, however long one of
    /// them was held up.
    pub(super) fn left(&mut self, began: Option<Instant>) {
        self.due = began.map(|began| {
            let took = began.elapsed();
            let typical = self.typical.map_or(took, |typical| took.min(typical.mul_f64(DRIFT)));
            self.typical = Some(typical);
            let of_all = self.cores.0 as f64 / self.cores.1 as f64;
            began + typical.mul_f64(of_all / self.share).min(MAX_DISTANCE)
        });
    }

    /// How long the engine rests before its next step, if at all.
    pub(super) fn rest(&self) -> Option<Duration> {
        let left = self.due?.saturating_duration_since(Instant::now());
        (!left.is_zero()).then_some(left)
    }
}
