//! What the loop's thread and its handles share: the status, the wish to pause or stop, and who listens.

use std::collections::{BTreeMap, VecDeque};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::oneshot;

use super::config::ProblemSource;
use super::memory::{Memory, Visit};
use super::task::{Asked, Outcome, Task};
use super::{RunState, Stalled, Totals, TrainConfig, TrainError, TrainStatus};

/// Snapshots a slow listener may fall behind by; further ones are dropped for it.
const LISTENER_BACKLOG: usize = 256;
/// Tasks that may wait for the end of a step.
const MAX_TASKS: usize = 16;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Wish {
    #[default]
    Run,
    Pause,
    Stop,
}

#[derive(Debug, Default)]
struct Inner {
    status: TrainStatus,
    /// Where the run before this one ended, and its configuration.
    before: (TrainStatus, Option<TrainConfig>),
    wish: Wish,
    listeners: Vec<SyncSender<TrainStatus>>,
    /// What the loop was asked to do between two steps.
    tasks: VecDeque<Asked>,
    /// A paused run makes a single step.
    stepping: bool,
    /// The configuration of the run.
    config: Option<TrainConfig>,
    /// Closing number of the last client group that the run has looked at.
    cursor: i64,
    /// Usable groups up to there that wait for the rest of their batch.
    usable: u64,
    /// When the status last changed.
    progressed: Option<Instant>,
    totals: Totals,
}

/// What the loop does next.
#[derive(Debug)]
pub(super) enum Next {
    Step,
    Do(Asked),
    Stop,
}

/// Shared state of one trainer.
#[derive(Debug, Default)]
pub(super) struct Control {
    inner: Mutex<Inner>,
    changed: Condvar,
    visits: Mutex<RunVisits>,
}

/// Visits of the problems of a run, for whoever asks.
#[derive(Debug, Clone, Default)]
pub(super) struct RunVisits {
    /// The run; empty before the first.
    pub(super) run_id: String,
    /// By problem, oldest first.
    pub(super) visits: BTreeMap<String, Vec<Visit>>,
}

impl Control {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn status(&self) -> TrainStatus {
        self.lock().status.clone()
    }

    pub(super) fn subscribe(&self) -> Receiver<TrainStatus> {
        let (sender, receiver) = sync_channel(LISTENER_BACKLOG);
        self.lock().listeners.push(sender);
        receiver
    }

    /// Takes the trainer for a run, if none is active.
    pub(super) fn claim(&self, run_id: &str, steps: u64) -> Result<(), TrainError> {
        let mut inner = self.lock();
        refuse_active(&inner.status)?;
        inner.wish = Wish::Run;
        inner.tasks.clear();
        inner.stepping = false;
        let claimed = TrainStatus {
            state: RunState::Running,
            run_id: Some(run_id.to_owned()),
            steps,
            phase: "start".into(),
            ..TrainStatus::default()
        };
        inner.before = (std::mem::replace(&mut inner.status, claimed), inner.config.take());
        self.tell(&mut inner);
        Ok(())
    }

    /// Gives the trainer back that was claimed for a run which does not begin: the run before is the last one again.
    pub(super) fn give_back(&self) {
        let mut inner = self.lock();
        inner.tasks.clear();
        (inner.status, inner.config) = std::mem::take(&mut inner.before);
        self.tell(&mut inner);
    }

    /// Where the run of that id stands, or ended if only one has begun since.
    pub(super) fn status_of(&self, run_id: &str) -> Option<TrainStatus> {
        let inner = self.lock();
        let known = [&inner.status, &inner.before.0];
        let found = known
            .into_iter()
            .find(|status| status.run_id.as_deref() == Some(run_id));
        found.cloned()
    }

    /// Refuses if a run is active.
    pub(super) fn must_be_free(&self) -> Result<(), TrainError> {
        refuse_active(&self.lock().status)
    }

    /// Changes the status and tells the listeners.
    pub(super) fn update(&self, change: impl FnOnce(&mut TrainStatus)) {
        let mut inner = self.lock();
        change(&mut inner.status);
        self.tell(&mut inner);
    }

    pub(super) fn phase(&self, phase: &str) {
        self.update(|status| {
            status.phase = phase.into();
            (status.phase_done, status.phase_total) = (0, 0);
        });
    }

    /// How much of the phase is done.
    pub(super) fn progress(&self, done: usize, all: usize) {
        self.update(|status| (status.phase_done, status.phase_total) = (done as u64, all as u64));
    }

    pub(super) fn totals(&self) -> Totals {
        self.lock().totals.clone()
    }

    /// Notes by how many versions the rows of an update were behind.
    pub(super) fn trained_on(&self, versions_behind: &[u64]) {
        let staleness = &mut self.lock().totals.staleness;
        versions_behind.iter().for_each(|behind| staleness.add(*behind as f64));
    }

    pub(super) fn step_done(&self, step: u64, version: u64, metrics: BTreeMap<String, f64>) {
        self.lock().totals.step(&metrics);
        self.update(|status| {
            (status.step, status.version, status.metrics) = (step, version, metrics);
        });
    }

    /// The visits of a run are those of `memory` from now on.
    pub(super) fn remembered(&self, run_id: &str, memory: &Memory) {
        *self.visits() = RunVisits {
            run_id: run_id.to_owned(),
            visits: memory.visits.clone(),
        };
    }

    /// Notes the visits that `memory` has of `problems` at its last step.
    pub(super) fn visited(&self, problems: &[String], memory: &Memory) {
        let mut known = self.visits();
        for problem in problems {
            if let Some(visits) = memory.visits.get(problem) {
                known.visits.insert(problem.clone(), visits.clone());
            }
        }
    }

    /// The visits of the current or last run, in their place: nobody writes while they are held.
    pub(super) fn visits(&self) -> MutexGuard<'_, RunVisits> {
        self.visits.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The configuration of the run, if there was one since the start.
    pub(super) fn config(&self) -> Option<TrainConfig> {
        self.lock().config.clone()
    }

    /// Notes the configuration that the run goes on by.
    pub(super) fn configured(&self, config: &TrainConfig) {
        self.lock().config = Some(config.clone());
        self.update(|status| status.steps = config.steps);
    }

    /// Notes that the run has trained on the groups of clients up to `cursor`.
    pub(super) fn consumed(&self, cursor: i64) {
        self.looked_at(cursor, 0);
    }

    /// Notes that the run has looked at the groups of clients up to `cursor`, and how many of them it will train on: what it
    /// has no use for keeps no others out.
    pub(super) fn looked_at(&self, cursor: i64, usable: u64) {
        let mut inner = self.lock();
        (inner.cursor, inner.usable) = (cursor, usable);
    }

    /// The configuration of an active run that trains on groups of clients, how far it has looked at them, and how many of
    /// those it will train on.
    pub(super) fn of_clients(&self) -> Option<(TrainConfig, i64, u64)> {
        let inner = self.lock();
        let config = inner.config.as_ref().filter(|_| is_active(inner.status.state))?;
        let clients = config.problems.source == ProblemSource::Trajectories;
        clients.then(|| (config.clone(), inner.cursor, inner.usable))
    }

    /// Asks the loop to do something before its next step.
    pub(super) fn submit(&self, task: Task) -> Result<Outcome, TrainError> {
        let mut inner = self.lock();
        let refuse = |reason: String| Err(TrainError::State(reason));
        if !matches!(inner.status.state, RunState::Running | RunState::Paused) {
            return refuse(format!("no run is active: the trainer is {}", name(inner.status.state)));
        }
        if task == Task::Step && inner.wish != Wish::Pause {
            return refuse("the run goes on by itself; pause it to go step by step".into());
        }
        if inner.tasks.len() >= MAX_TASKS {
            return refuse(format!("{MAX_TASKS} tasks wait for the end of the step already"));
        }
        let (answer, outcome) = oneshot::channel();
        inner.tasks.push_back(Asked { task, answer });
        self.changed.notify_all();
        Ok(outcome)
    }

    /// Puts a task behind the others that wait.
    pub(super) fn ask_again(&self, asked: Asked) {
        self.lock().tasks.push_back(asked);
    }

    /// A paused run begins or ends a single step. A stop that was asked for meanwhile stands.
    pub(super) fn one_step(&self, begins: bool) {
        let (from, to) = match begins {
            true => (RunState::Paused, RunState::Running),
            false => (RunState::Running, RunState::Paused),
        };
        let mut inner = self.lock();
        inner.stepping = begins;
        if inner.status.state == from {
            inner.status.state = to;
        }
        self.tell(&mut inner);
    }

    /// Whether something goes before the step that is under way; waits for clients look at it.
    pub(super) fn is_interrupted(&self) -> bool {
        let inner = self.lock();
        let pausing = inner.wish == Wish::Pause && !inner.stepping;
        pausing || inner.wish == Wish::Stop || inner.tasks.iter().any(|asked| asked.task != Task::Step)
    }

    /// Whether the run was asked to stop.
    pub(super) fn is_stopping(&self) -> bool {
        self.lock().wish == Wish::Stop
    }

    /// Ends the run: `Finished`, or `Failed` with the reason.
    pub(super) fn end(&self, outcome: Result<(), TrainError>) {
        // Whoever waits hears that nobody will answer.
        self.lock().tasks.clear();
        self.update(|status| {
            status.phase = String::new();
            status.state = if outcome.is_ok() {
                RunState::Finished
            } else {
                RunState::Failed
            };
            status.error = outcome.err().map(|error| error.to_string());
        });
    }

    /// The status and when it last changed, if a run is at work and may be expected to get on.
    pub(super) fn progressed(&self) -> Option<(TrainStatus, Instant)> {
        let inner = self.lock();
        let at_work = matches!(inner.status.state, RunState::Running | RunState::Stopping);
        Some((inner.status.clone(), inner.progressed.filter(|_| at_work)?))
    }

    /// Notes that nothing has happened since `since`, unless something has.
    pub(super) fn stall(&self, since: Instant, stalled: Stalled) {
        let mut inner = self.lock();
        if inner.progressed == Some(since) {
            inner.status.stalled = Some(stalled);
        }
    }

    fn tell(&self, inner: &mut Inner) {
        (inner.progressed, inner.status.stalled) = (Some(Instant::now()), None);
        let status = inner.status.clone();
        inner
            .listeners
            .retain(|listener| !matches!(listener.try_send(status.clone()), Err(TrySendError::Disconnected(_))));
        self.changed.notify_all();
    }

    pub(super) fn pause(&self) -> Result<TrainStatus, TrainError> {
        self.ask(Wish::Pause, "pause", |state| state == RunState::Running)
    }

    pub(super) fn resume(&self) -> Result<TrainStatus, TrainError> {
        self.ask(Wish::Run, "resume", |state| {
            state == RunState::Paused || state == RunState::Running
        })
    }

    pub(super) fn stop(&self) -> Result<TrainStatus, TrainError> {
        self.ask(Wish::Stop, "stop", is_active)
    }

    fn ask(&self, wish: Wish, verb: &str, allowed: fn(RunState) -> bool) -> Result<TrainStatus, TrainError> {
        let mut inner = self.lock();
        if !allowed(inner.status.state) {
            let state = name(inner.status.state);
            return Err(TrainError::State(format!("cannot {verb}: the trainer is {state}")));
        }
        inner.wish = wish;
        if wish == Wish::Stop {
            inner.status.state = RunState::Stopping;
        }
        self.tell(&mut inner);
        Ok(inner.status.clone())
    }

    /// Called between steps: what to do next; waits while paused.
    pub(super) fn next(&self) -> Next {
        let mut inner = self.lock();
        loop {
            if inner.wish != Wish::Stop
                && let Some(asked) = inner.tasks.pop_front()
            {
                return Next::Do(asked);
            }
            match inner.wish {
                Wish::Stop => return Next::Stop,
                Wish::Run => {
                    if inner.status.state != RunState::Running {
                        inner.status.state = RunState::Running;
                        self.tell(&mut inner);
                    }
                    return Next::Step;
                }
                Wish::Pause => {
                    if inner.status.state != RunState::Paused {
                        inner.status.state = RunState::Paused;
                        self.tell(&mut inner);
                    }
                    inner = self.changed.wait(inner).unwrap_or_else(PoisonError::into_inner);
                }
            }
        }
    }
}

fn name(state: RunState) -> String {
    format!("{state:?}").to_lowercase()
}

fn refuse_active(status: &TrainStatus) -> Result<(), TrainError> {
    let id = status.run_id.as_deref().unwrap_or_default();
    match status.state {
        RunState::Stopping => Err(TrainError::State(format!(
            "run `{id}` is stopping; try again when its step has ended"
        ))),
        state if is_active(state) => Err(TrainError::State(format!(
            "run `{id}` is active; stop it before starting another"
        ))),
        _ => Ok(()),
    }
}

fn is_active(state: RunState) -> bool {
    matches!(state, RunState::Running | RunState::Paused | RunState::Stopping)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn controls_follow_the_state() {
        let control = Control::default();
        let refused = |outcome: Result<TrainStatus, TrainError>, message: &str| {
            let error = outcome.expect_err("refused").to_string();
            assert!(error.contains(message), "{error}");
        };
        refused(control.pause(), "cannot pause: the trainer is idle");
        refused(control.stop(), "cannot stop: the trainer is idle");
        control.claim("a", 5).expect("idle");
        assert!(
            control
                .claim("b", 5)
                .expect_err("busy")
                .to_string()
                .contains("run `a` is active")
        );
        control.pause().expect("running");
        control.stop().expect("pausing");
        assert!(matches!(control.next(), Next::Stop), "a stop wins over a pause");
        assert_eq!(control.status().state, RunState::Stopping);
        refused(control.resume(), "cannot resume: the trainer is stopping");
        control.end(Ok(()));
        control.claim("b", 1).expect("finished runs make way");
        control.end(Err(TrainError::Run("disk".into())));
        assert_eq!(
            (control.status().state, control.status().error.as_deref()),
            (RunState::Failed, Some("disk"))
        );
    }

    #[test]
    fn a_paused_loop_waits_and_listeners_hear_of_it() {
        let control = std::sync::Arc::new(Control::default());
        control.claim("a", 5).expect("idle");
        let heard = control.subscribe();
        control.pause().expect("running");
        let loop_side = std::sync::Arc::clone(&control);
        let waiting = std::thread::spawn(move || loop_side.next());
        let paused = heard.iter().find(|status| status.state == RunState::Paused);
        assert!(paused.is_some() && !waiting.is_finished());
        control.resume().expect("paused");
        assert!(matches!(waiting.join().expect("no panic"), Next::Step));
        assert_eq!(control.status().state, RunState::Running);
    }

    #[test]
    fn tasks_are_done_between_steps_and_none_is_left_without_an_answer() {
        let control = Control::default();
        assert!(control.submit(Task::Checkpoint).is_err(), "no run is active");
        control.claim("a", 5).expect("idle");
        assert!(control.submit(Task::Step).is_err(), "it is not paused");
        control.pause().expect("running");
        let mut waiting: Vec<Outcome> = (0..MAX_TASKS)
            .map(|_| control.submit(Task::Step).expect("room"))
            .collect();
        assert!(control.submit(Task::Step).is_err(), "the queue is bounded");
        assert!(control.is_interrupted(), "a pause goes before a wait");
        control.one_step(true);
        assert!(
            !control.is_interrupted(),
            "but not before a single step, nor do further steps"
        );
        let Next::Do(asked) = control.next() else {
            panic!("a task comes first")
        };
        asked.answer.send(Ok(control.status())).expect("somebody waits");
        assert!(waiting.remove(0).blocking_recv().expect("an answer").is_ok());
        control.stop().expect("active");
        control.one_step(false);
        assert_eq!(
            control.status().state,
            RunState::Stopping,
            "the step's end undoes no stop"
        );
        assert!(matches!(control.next(), Next::Stop), "a stop goes before tasks");
        control.end(Ok(()));
        for outcome in waiting {
            assert!(outcome.blocking_recv().is_err());
        }
    }
}
