//! The integrity sweep: queues and blocks are checked when the engine has become idle, at most once per interval.

use std::time::{Duration, Instant};

use super::Engine;

/// When to check next.
#[derive(Debug)]
pub(super) struct Sweep {
    /// Zero: never.
    interval: Duration,
    last: Option<Instant>,
    /// Steps of the engine when it was last looked at.
    steps: u64,
    /// Something ran since the last check.
    worked: bool,
}

impl Sweep {
    pub(super) fn new(interval_ms: u64) -> Self {
        Self {
            interval: Duration::from_millis(interval_ms),
            last: None,
            steps: 0,
            worked: false,
        }
    }

    /// Time until a check is due in an idle engine; `None` if none will be.
    pub(super) fn due_in(&self) -> Option<Duration> {
        if !self.worked || self.interval.is_zero() {
            return None;
        }
        let waited = self.last.map_or(self.interval, |last| last.elapsed());
        Some(self.interval.saturating_sub(waited))
    }

    /// Checks if that is due.
    pub(super) fn run(&mut self, engine: &mut Engine) {
        self.worked |= self.steps != engine.stats.steps;
        self.steps = engine.stats.steps;
        if engine.is_idle() && self.due_in().is_some_and(|left| left.is_zero()) {
            engine.sweep();
            (self.last, self.worked) = (Some(Instant::now()), false);
        }
    }
}

impl Engine {
    /// Checks an idle engine; a failure is logged and counted, and serving goes on.
    fn sweep(&mut self) {
        self.stats.integrity_checks += 1;
        if let Err(fault) = self.check_idle() {
            self.stats.integrity_failures += 1;
            tracing::error!(%fault, "the integrity check of an idle engine failed");
        }
    }

    fn check_idle(&self) -> Result<(), String> {
        self.check()?;
        let left = (
            self.scheduler.running(),
            self.scheduler.waiting(),
            self.scheduler.kv().in_use(),
        );
        match left {
            (0, 0, 0) => Ok(()),
            (running, waiting, blocks) => Err(format!(
                "idle with {running} running and {waiting} waiting sequences and {blocks} blocks in use"
            )),
        }
    }
}
