//! Spans that wait to be sent: bounded, and nobody who puts one in waits.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::config::OtlpConfig;
use super::span::Span;
use crate::metrics::{Dropped, SpanCounts};

/// The queue, and what its two ends tell each other.
#[derive(Debug)]
pub(super) struct Queue {
    state: Mutex<State>,
    changed: Condvar,
    /// Whoever follows something to make spans of it ends.
    unfollowed: AtomicBool,
    max_spans: usize,
    max_batch: usize,
    delay: Duration,
    pub(super) counts: SpanCounts,
}

#[derive(Debug, Default)]
struct State {
    spans: VecDeque<Span>,
    /// Nothing more is taken in.
    closed: bool,
    /// Whoever sends has ended.
    done: bool,
}

impl Queue {
    pub(super) fn new(config: &OtlpConfig, counts: SpanCounts) -> Self {
        Self {
            state: Mutex::default(),
            changed: Condvar::new(),
            unfollowed: AtomicBool::new(false),
            max_spans: config.max_queued_spans,
            max_batch: config.max_batch_spans,
            delay: Duration::from_millis(config.batch_delay_ms),
            counts,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics while the lock is held, so a poisoned one is still consistent.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts in a span that has ended, or drops it.
    pub(super) fn push(&self, span: Span) {
        let mut state = self.lock();
        let why = if state.closed {
            Dropped::Shutdown
        } else if state.spans.len() >= self.max_spans {
            Dropped::QueueFull
        } else {
            state.spans.push_back(span);
            let waiting = state.spans.len();
            drop(state);
            if waiting == 1 || waiting >= self.max_batch {
                self.changed.notify_all();
            }
            return;
        };
        drop(state);
        self.counts.dropped(why, 1);
    }

    /// The spans to send next, as soon as there are enough or they have waited long enough; `None` when no more will come.
    pub(super) fn batch(&self) -> Option<Vec<Span>> {
        let mut state = self.lock();
        let mut deadline = None;
        loop {
            let waiting = state.spans.len();
            if waiting == 0 && state.closed {
                return None;
            }
            let now = Instant::now();
            let due = *deadline.get_or_insert(now + self.delay);
            if waiting >= self.max_batch || (waiting > 0 && (state.closed || now >= due)) {
                return Some(state.spans.drain(..waiting.min(self.max_batch)).collect());
            }
            state = if waiting == 0 {
                deadline = None;
                self.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
            } else {
                let waited = self.changed.wait_timeout(state, due - now);
                waited.unwrap_or_else(PoisonError::into_inner).0
            };
        }
    }

    /// Waits, but not on when the queue is closed; says whether it is.
    pub(super) fn pause(&self, pause: Duration) -> bool {
        let until = Instant::now() + pause;
        let mut state = self.lock();
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if state.closed || left.is_zero() {
                return state.closed;
            }
            let waited = self.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Drops what waits.
    pub(super) fn give_up(&self) {
        let dropped = std::mem::take(&mut self.lock().spans).len();
        self.counts.dropped(Dropped::Shutdown, dropped);
    }

    /// Whoever sends has ended.
    pub(super) fn done(&self) {
        self.lock().done = true;
        self.changed.notify_all();
    }

    /// Takes no more in and waits until everything is sent, at most `within`; then drops the rest.
    pub(super) fn close(&self, within: Duration) {
        let until = Instant::now() + within;
        let mut state = self.lock();
        state.closed = true;
        self.changed.notify_all();
        while !state.done {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                drop(state);
                return self.give_up();
            }
            let waited = self.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Ends those who follow something.
    pub(super) fn end_followers(&self) {
        self.unfollowed.store(true, Ordering::Relaxed);
    }

    /// Whether those who follow something shall end.
    pub(super) fn is_unfollowed(&self) -> bool {
        self.unfollowed.load(Ordering::Relaxed)
    }
}
