//! Pausing generation and going on: the modes, and what callers see of the engine's state.

use tokio::sync::watch;

use super::handle::EngineHandle;
use super::thread::Command;
use super::{Engine, EngineStats};
use crate::error::EngineError;
use crate::request::FinishReason;

/// What a pause does to requests that are there. New ones queue in every mode, bounded by `max_waiting`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PauseMode {
    /// All of them end with what they have, with the finish reason `abort`.
    Abort,
    /// Those that have started finish; the others stay queued.
    Wait,
    /// They stop where they are and go on with the same tokens.
    Keep,
}

impl PauseMode {
    /// Every mode.
    pub const ALL: [Self; 3] = [Self::Abort, Self::Wait, Self::Keep];

    /// Name on the wire.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Abort => "abort",
            Self::Wait => "wait",
            Self::Keep => "keep",
        }
    }
}

/// Whether the engine steps.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Flow {
    /// It does.
    #[default]
    Running,
    /// It finishes what has started.
    Pausing,
    /// It does not.
    Paused,
}

/// The state after the last order that the engine's thread has obeyed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Observed {
    /// Number of that order.
    pub(super) order: u64,
    pub(super) flow: Flow,
}

/// The thread's side of a pause.
#[derive(Debug)]
pub(super) struct Pause {
    mode: Option<PauseMode>,
    /// Drop all KV as soon as nothing steps.
    clear: bool,
    /// Number of the last order obeyed.
    order: u64,
    observed: watch::Sender<Observed>,
}

impl Pause {
    pub(super) fn new() -> (Self, watch::Receiver<Observed>) {
        let (observed, receiver) = watch::channel(Observed::default());
        let pause = Self {
            mode: None,
            clear: false,
            order: 0,
            observed,
        };
        (pause, receiver)
    }

    /// Starts, changes or (without a mode) ends a pause.
    pub(super) fn obey(&mut self, order: u64, mode: Option<PauseMode>, clear: bool, engine: &mut Engine) {
        (self.mode, self.clear) = (mode, clear && mode.is_some());
        engine.scheduler.hold_new(mode == Some(PauseMode::Wait));
        if mode == Some(PauseMode::Abort) {
            engine.abort_everything();
        }
        self.order = order;
        if mode.is_none() {
            self.announce(Flow::Running);
        }
    }

    /// Whether nothing may step; what has started finishes under `wait`.
    pub(super) fn blocks(&self, engine: &Engine) -> bool {
        match self.mode {
            _ if engine.is_asleep() => true,
            None => false,
            Some(PauseMode::Wait) => engine.scheduler.started() == 0,
            Some(PauseMode::Abort | PauseMode::Keep) => true,
        }
    }

    /// Where the pause stands after what has just run. Drops the KV, if that was asked, once nothing runs any more.
    pub(super) fn settle(&mut self, engine: &mut Engine) -> Flow {
        let flow = match (self.mode, self.blocks(engine)) {
            (None, _) => Flow::Running,
            (_, false) => Flow::Pausing,
            (_, true) => Flow::Paused,
        };
        if flow == Flow::Paused && std::mem::take(&mut self.clear) {
            engine.scheduler.clear_kv();
        }
        flow
    }

    /// Tells callers where the pause stands. What they may ask next, the stats, must be up to date before.
    pub(super) fn announce(&self, flow: Flow) {
        // Number and state change at once: the state after an order must not be taken for the one before it.
        let now = Observed {
            order: self.order,
            flow,
        };
        self.observed
            .send_if_modified(|observed| std::mem::replace(observed, now) != now);
    }

    pub(super) fn mark(&self, stats: EngineStats) -> EngineStats {
        EngineStats {
            paused: self.mode.is_some(),
            ..stats
        }
    }
}

impl Engine {
    /// Ends every request with what it has.
    fn abort_everything(&mut self) {
        for (id, mut live) in self.live.drain() {
            live.finish(FinishReason::Abort, None);
            self.scheduler.remove(id);
        }
    }
}

impl EngineHandle {
    /// Pauses generation and waits until no step runs any more: at most one step, or with [`PauseMode::Wait`] until what
    /// has started is done. With `clear_cache` all KV is dropped then, and what goes on later is computed anew. The
    /// pause stands also if the caller stops waiting.
    ///
    /// # Errors
    /// [`EngineError::Resumed`] when [`Self::resume`] came first, [`EngineError::Overloaded`], [`EngineError::Stopped`].
    pub async fn pause(&self, mode: PauseMode, clear_cache: bool) -> Result<(), EngineError> {
        let order = self.order(Some(mode), clear_cache)?;
        let mut observed = self.observed();
        let settled = observed.wait_for(|seen| seen.order >= order && seen.flow != Flow::Pausing);
        match settled.await.map(|seen| *seen) {
            Ok(seen) if seen.flow == Flow::Paused => Ok(()),
            Ok(_) => Err(EngineError::Resumed),
            Err(_) => Err(super::handle::stopped()),
        }
    }

    /// Ends a pause, if there is one, and waits until that is so.
    ///
    /// # Errors
    /// [`EngineError::Overloaded`], [`EngineError::Stopped`].
    pub async fn resume(&self) -> Result<(), EngineError> {
        let order = self.order(None, false)?;
        let mut observed = self.observed();
        let obeyed = observed.wait_for(|seen| seen.order >= order).await;
        obeyed.map(|_| ()).map_err(|_| super::handle::stopped())
    }

    /// Drops all KV between two steps and says whether it did: not while requests are there, unless theirs is dropped too
    /// (`also_held`), which they then compute anew.
    ///
    /// # Errors
    /// [`EngineError::Overloaded`], [`EngineError::Stopped`].
    pub async fn clear_kv(&self, also_held: bool) -> Result<bool, EngineError> {
        let (reply, cleared) = tokio::sync::oneshot::channel();
        self.command(Command::ClearKv { also_held, reply })?;
        cleared.await.map_err(|_| super::handle::stopped())
    }

    /// Whether a pause is in force; requests that have started may still run under [`PauseMode::Wait`].
    #[must_use]
    pub fn is_paused(&self) -> bool {
        self.observed().borrow().flow != Flow::Running
    }

    fn order(&self, mode: Option<PauseMode>, clear: bool) -> Result<u64, EngineError> {
        // Orders are numbered as they are queued, so that a later number is obeyed later.
        self.number_order(|order| Command::Pause { order, mode, clear })
    }
}
