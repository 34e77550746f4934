//! The engine's own thread: takes commands between steps, sleeps when there is nothing to do.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::mpsc::Sender;

use super::{Engine, EngineStats, PublishReport};
use crate::config::InFlight;
use crate::error::EngineError;
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
    Pause(bool),
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
}

/// Runs until shut down, or until the last handle is gone and nothing is left to do.
pub(super) fn run(mut engine: Engine, commands: &Receiver<Command>, shared: &Shared) {
    let mut state = State::default();
    loop {
        let command = if state.paused {
            commands
                .recv_timeout(PAUSED_POLL)
                .map_err(|error| error == RecvTimeoutError::Disconnected)
        } else if engine.is_idle() {
            commands.recv().map_err(|_| true)
        } else {
            commands.try_recv().map_err(|error| error == TryRecvError::Disconnected)
        };
        let disconnected = match command {
            Ok(command) => {
                state.obey(command, &mut engine, shared);
                // Take what else has arrived before the next step, so that it shares the step.
                while let Ok(command) = commands.try_recv() {
                    state.obey(command, &mut engine, shared);
                }
                false
            }
            Err(disconnected) => disconnected,
        };
        if !state.paused || state.ending() {
            engine.step();
        }
        state.publish_stats(&engine, shared);
        let ended = engine.is_idle() && (disconnected || state.ending());
        if ended || state.overdue() || disconnected && state.paused {
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

#[derive(Default)]
struct State {
    paused: bool,
    shutdown: Option<(Instant, SyncSender<()>)>,
}

impl State {
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
            Command::Pause(paused) => self.paused = paused,
            Command::Shutdown { deadline, reply } => self.shutdown = Some((deadline, reply)),
        }
    }

    fn publish_stats(&self, engine: &Engine, shared: &Shared) {
        let stats = EngineStats {
            paused: self.paused,
            ..engine.stats()
        };
        shared.waiting.store(stats.waiting, Ordering::Relaxed);
        *shared.stats.lock().unwrap_or_else(PoisonError::into_inner) = stats;
    }
}
