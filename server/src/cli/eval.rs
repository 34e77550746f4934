//! `svs eval`.

use std::process::ExitCode;

/// Arguments of `svs eval`.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Runs the command.
///
/// # Errors
/// Anything that stopped it.
pub fn run(_args: Args) -> anyhow::Result<ExitCode> {
    anyhow::bail!("`svs eval` is being built")
}
