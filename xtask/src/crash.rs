//! `cargo xtask crash`: kills a training run at every point at which it may die, twice each, resumes it, and compares bit
//! for bit with one that nothing interrupted. CI does two passages of each, drawn by the commit.

use std::process::Command;

use crate::repo;

/// Options of `cargo xtask crash`.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Which passages of each point.
    #[arg(long, default_value = "0")]
    seed: String,
}

pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let test = "a_run_that_dies_at_any_point_resumes_bit_for_bit";
    repo::run(
        Command::new("cargo")
            .args([
                "test",
                "--release",
                "--workspace",
                "--test",
                "e2e",
                test,
                "--",
                "--nocapture",
            ])
            .env("SVS_CRASH_SEED", &options.seed)
            .env("SVS_CRASH_POINTS", "all")
            .current_dir(repo::root()),
    )
}
