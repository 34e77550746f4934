//! Moments in which no client asks for anything, so that the engine becomes idle and checks itself.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Time after such a moment until the load is as before.
const RAMP: Duration = Duration::from_secs(2);
const LOOK: Duration = Duration::from_millis(5);

#[derive(Debug, Default)]
pub(super) struct Gate {
    closed: AtomicBool,
    opened: Mutex<Option<Instant>>,
}

impl Gate {
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
    }

    pub(super) fn open(&self) {
        *self.opened.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        self.closed.store(false, Ordering::Relaxed);
    }

    /// Holds a client back while the gate is closed.
    pub(super) fn pass(&self, ended: &AtomicBool) {
        while self.closed.load(Ordering::Relaxed) && !ended.load(Ordering::Relaxed) {
            std::thread::sleep(LOOK);
        }
    }

    /// All clients are at work, and have been for a while.
    pub(super) fn is_busy(&self) -> bool {
        let opened = *self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        !self.closed.load(Ordering::Relaxed) && opened.is_none_or(|opened| opened.elapsed() > RAMP)
    }
}
