//! The trainer's status → spans: one per step of a run, and in it one per phase.
//!
//! What is heard are snapshots, one at each change. Between two steps the status still names the last phase, which has ended.

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use svs_trainer::run::{RunState, TrainStatus};

use super::queue::Queue;
use super::span::{Kind, Span};

/// Time between two looks whether to end.
const LOOK: Duration = Duration::from_millis(100);
/// What a step's span says of it: metrics of the run, under the names that they have there.
const METRICS: [&str; 5] = [
    "critic/score/mean",
    "training/rows",
    "training/tokens",
    "training/optimizer_steps",
    "publish/pause_ms",
];

/// Statuses that may still be on their way when nobody wants any more.
const LAST: usize = 256;

/// Makes spans of what `trainer` tells until it is gone or nobody wants them any more.
pub(super) fn follow(queue: &Queue, trainer: &Receiver<TrainStatus>) {
    let mut steps = Steps::default();
    let mut see = |status: &TrainStatus| steps.see(status).into_iter().for_each(|span| queue.push(span));
    while !queue.is_unfollowed() {
        match trainer.recv_timeout(LOOK) {
            Ok(status) => see(&status),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    trainer.try_iter().take(LAST).for_each(|status| see(&status));
    steps.close().into_iter().for_each(|span| queue.push(span));
}

/// The step and the phase under way.
#[derive(Debug, Default)]
pub(super) struct Steps {
    step: Option<Span>,
    phase: Option<Span>,
    /// Steps done, as far as is known.
    done: u64,
    /// What the status said when the last step ended; as long as it says so, nothing new has begun.
    stale: Option<Seen>,
}

/// A phase and how much of it is done.
type Seen = (String, u64, u64);

impl Steps {
    /// The spans that end with this status.
    pub(super) fn see(&mut self, status: &TrainStatus) -> Vec<Span> {
        let phase = status.phase.as_str();
        let seen = (phase.to_owned(), status.phase_done, status.phase_total);
        let at_work = matches!(status.state, RunState::Running | RunState::Stopping);
        if !at_work || status.step != self.done {
            self.done = status.step;
            // A wait for clients that a pause cuts short begins again as it was.
            self.stale = (at_work || !begins_a_step(phase)).then_some(seen);
            return self.end(status);
        }
        if self.stale.as_ref() == Some(&seen) {
            return Vec::new();
        }
        self.stale = None;
        if self.phase.as_ref().map_or("", |span| &span.name) == phase {
            return Vec::new();
        }
        let ended = self.phase.take().map(Span::ended);
        self.enter(status);
        ended.into_iter().collect()
    }

    fn enter(&mut self, status: &TrainStatus) {
        let phase = status.phase.clone();
        // Reading problems and model is of no step.
        if phase.is_empty() || phase == "start" {
            return;
        }
        if self.step.is_none() && begins_a_step(&phase) {
            let mut step = Span::begin("train_step", Kind::Internal);
            step.set("svs.run.id", status.run_id.as_deref().unwrap_or_default());
            step.set("svs.run.step", status.step + 1);
            self.step = Some(step);
        }
        let mut span = match &self.step {
            Some(step) => step.part(phase),
            // What a run does between two steps, and after the last.
            None => Span::begin(phase, Kind::Internal),
        };
        span.set("svs.run.id", status.run_id.as_deref().unwrap_or_default());
        self.phase = Some(span);
    }

    fn end(&mut self, status: &TrainStatus) -> Vec<Span> {
        if let Some(step) = &mut self.step {
            step.set("svs.weight_version", status.version);
            for name in METRICS {
                if let Some(value) = status.metrics.get(name) {
                    step.set(name, *value);
                }
            }
        }
        let failed = status.state == RunState::Failed;
        [&mut self.phase, &mut self.step]
            .into_iter()
            .flatten()
            .for_each(|span| span.failed = failed);
        self.close()
    }

    /// Ends what is open.
    fn close(&mut self) -> Vec<Span> {
        let open = [self.phase.take(), self.step.take()];
        open.into_iter().flatten().map(Span::ended).collect()
    }
}

/// Whether a phase is the first of a step, where none is under way: a supervised step is an update from the start.
fn begins_a_step(phase: &str) -> bool {
    matches!(phase, "rollout" | "synthesize" | "wait" | "update")
}
