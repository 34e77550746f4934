//! The engine's simulator over a chosen seed or more events; a failing run names its seed.

use std::process::Command;

use crate::repo;

/// The simulator's test.
const TEST: &str = "scheduler::simulator::random_events_keep_every_invariant";

/// Options of `cargo xtask simulate`.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Run this seed only, as a failure named it.
    #[arg(long)]
    seed: Option<u64>,
    /// Events of all seeds together.
    #[arg(long, default_value_t = 1_000_000)]
    events: u64,
}

/// Runs the simulator.
///
/// # Errors
/// An invariant is broken; the output names seed and event.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    // The whole workspace, so that what `cargo test` has built is used.
    let mut command = Command::new(env!("CARGO"));
    command
        .args([
            "test",
            "--release",
            "--quiet",
            "--workspace",
            "--lib",
            "--",
            "--nocapture",
            "--exact",
            TEST,
        ])
        .env("SVS_SIMULATE_EVENTS", options.events.to_string())
        .current_dir(repo::root());
    if let Some(seed) = options.seed {
        command.env("SVS_SIMULATE_SEED", seed.to_string());
    }
    repo::run(&mut command)
}
