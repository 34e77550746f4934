//! `svs openapi`: prints the document that a running server has at /openapi.json.

use std::io::Write;
use std::process::ExitCode;

use anyhow::Context;

/// Arguments of `svs openapi`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  svs openapi > openapi.json")]
pub struct Args {}

/// Runs the command.
///
/// # Errors
/// Standard output cannot be written.
pub fn run(_args: Args) -> anyhow::Result<ExitCode> {
    let text = crate::docs::openapi_json();
    std::io::stdout()
        .write_all(text.as_bytes())
        .context("cannot write to standard output")?;
    Ok(ExitCode::SUCCESS)
}
