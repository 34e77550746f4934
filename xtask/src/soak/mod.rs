//! `cargo xtask soak`: the real binary under load for minutes. Clients come, stream and leave in the middle; weights are
//! swapped every second. No error that was not asked for, no growth, no slowing down, and the same tokens throughout.

mod clients;
mod report;
mod watch;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use indicatif::{ProgressBar, ProgressStyle};

use crate::server::Server;
use clients::Outcomes;
use watch::{MultiplyAdds, Sample};

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
    let mut server = Server::start(
        options.binary.as_deref(),
        options.model.as_deref(),
        &["--rehearse-swaps", &options.swap_seconds.to_string()],
    )?;
    let outcomes = Outcomes::default();
    let (ended, adds) = (AtomicBool::new(false), MultiplyAdds::default());
    let samples = std::thread::scope(|scope| {
        for client in 0..options.clients {
            let (server, outcomes, ended) = (server.url(), &outcomes, &ended);
            let seed = options.seed ^ (client as u64) << 32;
            scope.spawn(move || clients::run(server, seed, outcomes, ended));
        }
        let (machine, stop) = (&adds, &ended);
        scope.spawn(move || machine.run(stop));
        let samples = observe(&server, length, &outcomes, &adds);
        ended.store(true, Ordering::Relaxed);
        samples
    })?;
    let clean_end = server.stop()?;
    report::conclude(&samples, &outcomes, options.swap_seconds, clean_end)
}

/// One sample a second.
fn observe(server: &Server, length: Duration, outcomes: &Outcomes, adds: &MultiplyAdds) -> anyhow::Result<Vec<Sample>> {
    let style = ProgressStyle::with_template("{elapsed_precise} {wide_bar} {msg}").context("the bar's template")?;
    let bar = ProgressBar::new(length.as_secs()).with_style(style);
    let began = Instant::now();
    let mut samples = Vec::new();
    while began.elapsed() < length {
        std::thread::sleep(Duration::from_secs(1));
        let sample = Sample::take(server, began.elapsed().as_secs_f64(), adds)?;
        bar.set_position(began.elapsed().as_secs());
        bar.set_message(format!(
            "{} answers, {} left, {} errors, {:.0} MB, version {}",
            outcomes.finished(),
            outcomes.left(),
            outcomes.errors(),
            sample.rss_bytes / 1e6,
            sample.version
        ));
        samples.push(sample);
    }
    bar.finish_and_clear();
    Ok(samples)
}
