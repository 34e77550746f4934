//! Asks `/health` again and again, over a connection of its own each time, as those do who watch a server.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::http;

/// Pause between two questions.
const PAUSE: Duration = Duration::from_millis(20);

/// What came of them.
#[derive(Debug, Default)]
pub(super) struct Probes {
    /// Times from connecting to the last byte, sorted.
    pub(super) sorted_ms: Vec<f64>,
    /// Those that were not answered by a 200.
    pub(super) failures: Vec<String>,
}

/// Asks until `gone`.
pub(super) fn probe(url: &str, gone: &AtomicBool) -> Probes {
    let mut probes = Probes::default();
    while !gone.load(Ordering::Relaxed) {
        let began = Instant::now();
        match http::get(url, "/health").and_then(|answer| answer.ok()) {
            Ok(_) => probes.sorted_ms.push(began.elapsed().as_secs_f64() * 1e3),
            Err(error) => probes.failures.push(format!("/health: {error:#}")),
        }
        std::thread::sleep(PAUSE);
    }
    probes.sorted_ms.sort_unstable_by(f64::total_cmp);
    probes
}
