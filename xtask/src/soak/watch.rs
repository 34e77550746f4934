//! What is watched while the soak runs: memory, tokens, and what the machine could do meanwhile.

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;

use crate::server::Server;

/// Multiply-adds of one burst: some milliseconds.
const BURST: usize = 200_000;
const LANES: usize = 64;
/// Pause between bursts, so that the loop takes a small share of the machine.
const REST: Duration = Duration::from_millis(40);

/// A loop of multiply-adds beside the server: how fast the machine is for others at each time.
#[derive(Debug, Default)]
pub(super) struct MultiplyAdds {
    done: AtomicU64,
    nanoseconds: AtomicU64,
}

impl MultiplyAdds {
    pub(super) fn run(&self, stop: &AtomicBool) {
        while !stop.load(Ordering::Relaxed) {
            let began = Instant::now();
            let mut lanes = [1.0_f32; LANES];
            for _ in 0..BURST {
                lanes.iter_mut().for_each(|lane| *lane = *lane * 0.999 + 0.001);
            }
            black_box(lanes);
            let took = u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX);
            self.nanoseconds.fetch_add(took, Ordering::Relaxed);
            self.done.fetch_add((BURST * LANES) as u64, Ordering::Relaxed);
            std::thread::sleep(REST);
        }
    }
}

/// Numbers since the start at one moment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sample {
    pub(super) seconds: f64,
    pub(super) rss_bytes: f64,
    pub(super) tokens: f64,
    pub(super) version: f64,
    pub(super) integrity_checks: f64,
    pub(super) integrity_failures: f64,
    /// Sequences that lost their place to others.
    pub(super) preemptions: f64,
    /// All clients were at work.
    pub(super) busy: bool,
    /// Multiply-adds done, and the seconds that they took.
    pub(super) adds: f64,
    pub(super) add_seconds: f64,
}

impl Sample {
    pub(super) fn take(server: &Server, seconds: f64, adds: &MultiplyAdds, busy: bool) -> anyhow::Result<Self> {
        let text = ureq::get(format!("{}/metrics", server.url()))
            .call()
            .context("the server does not answer")?
            .body_mut()
            .read_to_string()?;
        let value = |name: &str| metric(&text, name);
        Ok(Self {
            seconds,
            rss_bytes: server.rss_bytes()?,
            tokens: value("vllm:generation_tokens_total")?,
            version: value("svs_weight_version")?,
            integrity_checks: value("svs_integrity_checks_total")?,
            integrity_failures: value("svs_integrity_failures_total")?,
            preemptions: value("vllm:num_preemptions_total")?,
            busy,
            adds: adds.done.load(Ordering::Relaxed) as f64,
            add_seconds: adds.nanoseconds.load(Ordering::Relaxed) as f64 / 1e9,
        })
    }
}

/// The number of a line of `/metrics`.
pub(super) fn metric(text: &str, name: &str) -> anyhow::Result<f64> {
    let line = text.lines().find(|line| line.starts_with(name));
    let value = line.and_then(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
    value.with_context(|| format!("no metric {name}"))
}
