//! `svs serve --rehearse-swaps`: the loaded weights are packed and published again and again, as a training run would do
//! with new ones, so that an operator sees what swaps cost under the own load before training.

use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use svs_engine::WeightSet;

use crate::stack::Stack;

/// A running rehearsal; dropping it ends it.
#[derive(Debug)]
pub(super) struct Rehearsal {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Rehearsal {
    /// Publishes every `period`, or as often as packing allows if that takes longer.
    pub(super) fn start(stack: &Stack, period: Duration) -> Self {
        let stack = stack.clone();
        let (stop, stopped) = channel::<()>();
        let thread = std::thread::spawn(move || {
            let mut next = Instant::now() + period;
            let left = |next: Instant| next.saturating_duration_since(Instant::now());
            while stopped.recv_timeout(left(next)) == Err(RecvTimeoutError::Timeout) {
                next = (next + period).max(Instant::now());
                if let Err(error) = swap(&stack) {
                    tracing::warn!("no more swaps are rehearsed: {error}");
                    return;
                }
            }
        });
        Self {
            stop: Some(stop),
            thread: Some(thread),
        }
    }
}

impl Drop for Rehearsal {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic there has been printed.
            let _ = thread.join();
        }
    }
}

fn swap(stack: &Stack) -> Result<(), svs_engine::EngineError> {
    let (model, config) = (&stack.model, stack.engine.config());
    let version = stack.engine.weights().policy().version + 1;
    let began = Instant::now();
    let set = WeightSet::pack_as(config.storage(), &model.config, &model.params, version, "rehearsed");
    let packed = began.elapsed();
    let report = stack.engine.publish(Arc::new(set), config.in_flight)?;
    tracing::debug!(
        version,
        in_flight = report.in_flight,
        pause_ms = report.pause_ms,
        packing_ms = packed.as_secs_f64() * 1e3,
        "rehearsed a swap"
    );
    Ok(())
}
