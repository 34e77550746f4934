//! `svs train`.

use std::process::ExitCode;

/// Arguments of `svs train`.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Runs the command.
///
/// # Errors
/// Anything that stopped it.
pub fn run(_args: Args) -> anyhow::Result<ExitCode> {
    anyhow::bail!("`svs train` is being built")
}
