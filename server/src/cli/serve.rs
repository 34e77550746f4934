//! `svs serve`.

use std::process::ExitCode;

/// Arguments of `svs serve`.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Runs the command.
///
/// # Errors
/// Anything that stopped it.
pub fn run(_args: Args) -> anyhow::Result<ExitCode> {
    anyhow::bail!("`svs serve` is being built")
}
