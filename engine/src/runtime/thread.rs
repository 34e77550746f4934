//! The engine's own thread: takes commands between steps, sleeps when there is nothing to do.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::mpsc::Sender;
use tokio::sync::oneshot;

use super::pause::{Pause, PauseMode};
use super::sweep::Sweep;
use super::{Engine, EngineStats, PublishReport};
use crate::config::InFlight;
use crate::error::EngineError;
use crate::ops::Team;
use crate::request::{Event, GenerateRequest};
use crate::weights::WeightSet;

/// How often a sleeping engine looks for callers that went away while it is paused.
const PAUSED_POLL: Duration = Duration::from_millis(5);

/// What the handle asks of the thread.
pub(super) enum Command {
    Submit {
        request: Box<GenerateRequest>,
        weights: Arc<WeightSet>,
        seed: u64,
        events: Sender<Event>,
    },
    Publish {
        weights: Arc<WeightSet>,
        in_flight: InFlight,
        reply: SyncSender<Result<PublishReport, EngineError>>,
    },
    Pause {
        order: u64,
        mode: Option<PauseMode>,
        clear: bool,
    },
    ClearKv {
        also_held: bool,
        reply: oneshot::Sender<bool>,
    },
    Sleep {
        reply: oneshot::Sender<()>,
    },
    Wake {
        reply: oneshot::Sender<Result<(), EngineError>>,
    },
    Shutdown {
        deadline: Instant,
        reply: SyncSender<()>,
    },
}

/// What handle and thread share.
#[derive(Debug, Default)]
pub(super) struct Shared {
    /// Sequences in the command queue.
    pub(super) queued: AtomicUsize,
    /// Sequences in the scheduler's queue, as of the last step.
    pub(super) waiting: AtomicUsize,
    pub(super) stats: Mutex<EngineStats>,
    /// New requests are refused: it sleeps, or is about to.
    pub(super) asleep: AtomicBool,
    /// The teams of trainings that compute now.
    pub(super) trainings: Mutex<Vec<Arc<Team>>>,
}

/// Runs until shut down, or until the last handle is gone and nothing is left to do.
pub(super) fn run(mut engine: Engine, commands: &Receiver<Command>, shared: &Shared, (pause, sweep): (Pause, Sweep)) {
    let mut state = State {
        pause,
        sweep,
        shutdown: None,
    };
    loop {
        let blocked = state.pause.blocks(&engine) && !state.ending();
        let disconnected = match state.next_command(&engine, blocked, commands) {
            Ok(command) => {
                state.obey(command, &mut engine, shared);
                // Take what else has arrived before the next step, so that it shares the step.
                while let Ok(command) = commands.try_recv() {
                    state.obey(command, &mut engine, shared);
                }
                false
            }
            Err(RecvTimeoutError::Timeout) => false,
            Err(RecvTimeoutError::Disconnected) => true,
        };
        let trainings = shared.trainings.lock().unwrap_or_else(PoisonError::into_inner).clone();
        engine.lane.beside(trainings);
        if state.ending() || !state.pause.blocks(&engine) {
            engine.step();
        } else {
            engine.drop_abandoned();
        }
        let flow = state.pause.settle(&mut engine);
        state.sweep.run(&mut engine);
        state.publish_stats(&engine, shared);
        state.pause.announce(flow);
        let ended = engine.is_idle() && (disconnected || state.ending());
        if ended || state.overdue() || disconnected && state.pause.blocks(&engine) {
            break;
        }
    }
    engine.fail_everything(&EngineError::Stopped("it was shut down".into()));
    state.publish_stats(&engine, shared);
    if let Some((_, reply)) = state.shutdown {
        // Nobody may be waiting any more.
        let _ = reply.send(());
    }
}

struct State {
    pause: Pause,
    sweep: Sweep,
    shutdown: Option<(Instant, SyncSender<()>)>,
}

impl State {
    /// Waits for a command where there is nothing to step; `Timeout` where there is, or something else is due.
    fn next_command(
        &self,
        engine: &Engine,
        blocked: bool,
        commands: &Receiver<Command>,
    ) -> Result<Command, RecvTimeoutError> {
        if blocked && !engine.is_idle() {
            return commands.recv_timeout(PAUSED_POLL);
        }
        if !blocked && !engine.is_idle() {
            if let Some(rest) = engine.lane.rest() {
                return commands.recv_timeout(rest);
            }
            return commands.try_recv().map_err(|error| match error {
                TryRecvError::Empty => RecvTimeoutError::Timeout,
                TryRecvError::Disconnected => RecvTimeoutError::Disconnected,
            });
        }
        match self.sweep.due_in() {
            Some(left) => commands.recv_timeout(left),
            None => commands.recv().map_err(|_| RecvTimeoutError::Disconnected),
        }
    }

    fn ending(&self) -> bool {
        self.shutdown.is_some()
    }

    fn overdue(&self) -> bool {
        self.shutdown
            .as_ref()
            .is_some_and(|(deadline, _)| Instant::now() >= *deadline)
    }

    fn obey(&mut self, command: Command, engine: &mut Engine, shared: &Shared) {
        match command {
            Command::Submit {
                request,
                weights,
                seed,
                events,
            } => {
                engine.add(&request, &weights, seed, &events);
                shared.waiting.store(engine.stats().waiting, Ordering::Relaxed);
                shared.queued.fetch_sub(request.n as usize, Ordering::Relaxed);
            }
            Command::Publish {
                weights,
                in_flight,
                reply,
            } => {
                let _ = reply.send(engine.publish(weights, in_flight));
            }
            Command::Pause { order, mode, clear } => self.pause.obey(order, mode, clear, engine),
            Command::ClearKv { also_held, reply } => {
                let clears = also_held || engine.is_idle();
                if clears {
                    engine.scheduler.clear_kv();
                }
                // The caller may have left.
                let _ = reply.send(clears);
            }
            Command::Sleep { reply } => {
                engine.fall_asleep();
                if reply.send(()).is_err() {
                    // Nobody waits: who asked has taken new requests in again.
                    if let Err(error) = engine.wake() {
                        tracing::error!(%error, "the engine cannot wake up");
                    }
                }
            }
            Command::Wake { reply } => {
                // The caller may have left.
                let _ = reply.send(engine.wake());
            }
            Command::Shutdown { deadline, reply } => {
                if let Err(error) = engine.wake() {
                    tracing::error!(%error, "the engine cannot wake up to finish its requests");
                }
                // What a pause holds back may finish in the time that is left.
                engine.scheduler.hold_new(false);
                self.shutdown = Some((deadline, reply));
            }
        }
    }

    fn publish_stats(&self, engine: &Engine, shared: &Shared) {
        let stats = self.pause.mark(engine.stats());
        shared.waiting.store(stats.waiting, Ordering::Relaxed);
        *shared.stats.lock().unwrap_or_else(PoisonError::into_inner) = stats;
    }
}
