//! `cargo xtask soak`: the real binary under load for minutes. Clients come, stream and leave in the middle, guide, score and
//! ask for adapters; every second the weights are swapped for others, and now and then there is a pause, another adapter or a
//! moment of quiet. No error that was not asked for, no growth, no slowing down, and every answer is that of its weights.

mod answer;
mod asked;
mod clients;
mod controller;
mod gate;
mod others;
mod outcomes;
mod replay;
mod report;
mod watch;
mod weights;

use std::io::Write as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use indicatif::{ProgressBar, ProgressStyle};

use crate::server::Server;
use gate::Gate;
use outcomes::Outcomes;
use watch::{MultiplyAdds, Sample};
use weights::Weights;

/// The policy, two versions before it that scores and pauses hold, two adapters, and room for the next of both kinds.
const WEIGHT_SETS: usize = 8;

/// Options of `cargo xtask soak`.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Length of the run.
    #[arg(long, default_value_t = 10.0)]
    minutes: f64,
    /// Clients at once.
    #[arg(long, default_value_t = 64)]
    clients: usize,
    /// Time between swaps.
    #[arg(long, default_value_t = 1)]
    swap_seconds: u64,
    /// Seed of what the clients do.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// A model for `svs serve`; the embedded policy if absent.
    #[arg(long)]
    model: Option<String>,
    /// A built `svs`; without it one is built.
    #[arg(long)]
    binary: Option<PathBuf>,
}

/// Runs the soak.
///
/// # Errors
/// A check that failed, after the table.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    ensure!(
        options.minutes > 0.0 && options.clients > 0,
        "--minutes and --clients must be positive"
    );
    let length = Duration::from_secs_f64(options.minutes * 60.0);
    let weights = Weights::write(options.model.as_deref())?;
    let root = weights.root().to_str().context("a path that is text")?;
    let mut config = tempfile::NamedTempFile::with_suffix(".toml")?;
    write!(config, "[engine]\nmax_weight_sets = {WEIGHT_SETS}\n")?;
    let config_path = config.path().to_str().context("a path that is text")?;
    let mut server = Server::start(
        options.binary.as_deref(),
        options.model.as_deref(),
        &["--weights-dir", root, "--lora-dir", root, "--config", config_path],
    )?;
    let (shared, adds) = (Shared::default(), MultiplyAdds::default());
    let samples = std::thread::scope(|scope| {
        let (url, shared, adds) = (server.url(), &shared, &adds);
        for client in 0..options.clients {
            let seed = options.seed ^ (client as u64) << 32;
            scope.spawn(move || clients::run(url, seed, shared));
        }
        let period = Duration::from_secs(options.swap_seconds);
        scope.spawn(move || controller::run(url, period, shared));
        scope.spawn(move || adds.run(&shared.ended));
        let samples = observe(&server, length, shared, adds);
        shared.ended.store(true, Ordering::Relaxed);
        samples
    })?;
    let clean_end = server.stop()?;
    let crossed = shared.outcomes.take_crossed();
    for crossed in &crossed {
        if let Err(error) = replay::check(&weights, crossed) {
            shared.outcomes.count_error(&error);
        }
    }
    report::conclude(
        &samples,
        &shared.outcomes,
        crossed.len(),
        options.swap_seconds,
        clean_end,
    )
}

/// An adapter that is loaded.
#[derive(Debug, Clone)]
struct Adapter {
    name: String,
    version: u64,
}

/// What clients, controller and observer share.
#[derive(Debug, Default)]
struct Shared {
    outcomes: Outcomes,
    gate: Gate,
    ended: AtomicBool,
    /// The newest version whose publish has been answered.
    published: AtomicU64,
    adapter: Mutex<Option<Adapter>>,
}

impl Shared {
    fn set_adapter(&self, adapter: Adapter) {
        *self.adapter.lock().unwrap_or_else(PoisonError::into_inner) = Some(adapter);
    }

    fn adapter(&self) -> Option<Adapter> {
        self.adapter.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// One sample a second.
fn observe(server: &Server, length: Duration, shared: &Shared, adds: &MultiplyAdds) -> anyhow::Result<Vec<Sample>> {
    let style = ProgressStyle::with_template("{elapsed_precise} {wide_bar} {msg}").context("the bar's template")?;
    let bar = ProgressBar::new(length.as_secs()).with_style(style);
    let began = Instant::now();
    let mut samples = Vec::new();
    while began.elapsed() < length {
        std::thread::sleep(Duration::from_secs(1));
        let sample = Sample::take(server, began.elapsed().as_secs_f64(), adds, shared.gate.is_busy())?;
        bar.set_position(began.elapsed().as_secs());
        bar.set_message(format!(
            "{} answers, {} left, {} errors, {:.0} MB, version {}",
            clients::ANSWERS.iter().map(|row| shared.outcomes.of(row)).sum::<u64>(),
            shared.outcomes.of(clients::LEFT),
            shared.outcomes.errors().0,
            sample.rss_bytes / 1e6,
            sample.version
        ));
        samples.push(sample);
    }
    bar.finish_and_clear();
    Ok(samples)
}
