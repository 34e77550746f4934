//! `cargo xtask load`: many streams at once on the real binary, with slow readers, clients that leave in the middle and
//! malformed requests among them. Every well-formed request is answered in full or refused as it should be, every malformed
//! one is refused, memory stays bounded, and `/health` answers throughout.

mod acts;
mod health;
mod malformed;
mod report;
mod tally;

use std::io::Write as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};

use crate::server::Server;
use tally::Tally;

/// Clients, and places to wait, for each stream that is to be open. Some clients are busy with something else, some ask for two
/// sequences, and there are so many that some meet the bound and get a 429.
const CLIENTS_PER_STREAM: f64 = 1.5;
const WAITING_PER_STREAM: f64 = 1.25;
/// Bounds of the server on those who send nothing: nobody waits for them for long.
const TIMEOUTS: &str = "[server]\nheader_timeout_seconds = 8\nbody_timeout_seconds = 4\n";
/// Time between two looks at the server's memory.
const LOOK: Duration = Duration::from_millis(500);
/// Stack of a client's thread.
const STACK_BYTES: usize = 512 << 10;
/// From this length on, percentiles and slopes mean something.
const LONG: Duration = Duration::from_secs(120);

/// Options of `cargo xtask load`.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Length of the run. From 120 on, the time of `/health` and the growth of memory are checked too.
    #[arg(long, default_value_t = 300)]
    seconds: u64,
    /// Streams that are to be open at once; half as many clients again see to that.
    #[arg(long, default_value_t = 256)]
    streams: u64,
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

impl Options {
    /// A run that CI has time for.
    pub(crate) fn short() -> Self {
        Self {
            seconds: 15,
            streams: 256,
            seed: 0,
            model: None,
            binary: None,
        }
    }
}

/// What was seen.
struct Seen {
    /// Seconds since the start and resident bytes.
    memory: Vec<(f64, f64)>,
    health: health::Probes,
    /// What the server still held when all clients had gone; empty if nothing.
    left_over: String,
    stopped_clean: bool,
}

/// Runs the load; a sentence on what it was.
///
/// # Errors
/// A check that failed, after the table.
pub(crate) fn run(options: &Options) -> anyhow::Result<String> {
    ensure!(
        options.seconds >= 5 && options.streams > 0,
        "--seconds must be at least 5, --streams positive"
    );
    let length = Duration::from_secs(options.seconds);
    let mut config = tempfile::NamedTempFile::with_suffix(".toml")?;
    let [clients, waiting] =
        [CLIENTS_PER_STREAM, WAITING_PER_STREAM].map(|each| (options.streams as f64 * each) as u64);
    write!(config, "[engine]\nmax_waiting = {waiting}\n\n{TIMEOUTS}")?;
    let path = config.path().to_str().context("a path that is text")?;
    let mut server = Server::start(options.binary.as_deref(), options.model.as_deref(), &["--config", path])?;
    let (tally, ended, gone) = (Tally::default(), AtomicBool::new(false), AtomicBool::new(false));
    let (memory, health) = std::thread::scope(|scope| {
        let (url, all, ended, gone) = (server.url(), &tally, &ended, &gone);
        let probes = scope.spawn(move || health::probe(url, gone));
        let clients: Vec<_> = (0..clients)
            .map(|client| {
                let seed = options.seed ^ client << 32;
                let thread = std::thread::Builder::new().stack_size(STACK_BYTES);
                thread.spawn_scoped(scope, move || acts::run(url, seed, all, ended))
            })
            .collect();
        let memory = watch(&server, length);
        ended.store(true, Ordering::Relaxed);
        let joined = clients.into_iter().try_for_each(|client| {
            let joined = client?.join();
            joined.map_err(|_| std::io::Error::other("a client panicked"))
        });
        gone.store(true, Ordering::Relaxed);
        joined.context("clients")?;
        let health = probes.join().map_err(|_| anyhow::anyhow!("the probe panicked"))?;
        anyhow::Ok((memory?, health))
    })?;
    let seen = Seen {
        memory,
        health,
        left_over: report::left_over(&server)?,
        stopped_clean: server.stop()?,
    };
    report::conclude(options, &tally, &seen, length >= LONG)
}

/// Looks at the server's memory until `length` is over.
fn watch(server: &Server, length: Duration) -> anyhow::Result<Vec<(f64, f64)>> {
    let began = Instant::now();
    let mut memory = Vec::new();
    while began.elapsed() < length {
        memory.push((began.elapsed().as_secs_f64(), server.rss_bytes()?));
        std::thread::sleep(LOOK);
    }
    Ok(memory)
}
