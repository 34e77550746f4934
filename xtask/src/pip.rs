//! Runs pip, and tells an index out of reach from everything else that can go wrong.

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, bail};

/// What pip says when the index is out of reach, as opposed to a broken disk or a package that does not build.
const UNREACHED: [&str; 6] = [
    "NewConnectionError",
    "ConnectTimeoutError",
    "Read timed out",
    "Could not find a version",
    "ProxyError",
    "SSLError",
];

#[cfg(test)]
#[path = "pip_tests.rs"]
mod tests;

/// How pip ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    Done,
    /// No Python, no pip, or no index; the text says which.
    NotReached(String),
}

/// Runs `python -m pip ARGUMENTS` with bounded timeouts.
pub(crate) fn run(python: &Path, arguments: &[&OsStr]) -> anyhow::Result<Ended> {
    let mut pip = Command::new(python);
    pip.args(["-m", "pip"]).args(arguments).stdin(Stdio::null());
    pip.args([
        "--quiet",
        "--disable-pip-version-check",
        "--timeout",
        "30",
        "--retries",
        "2",
    ]);
    let ended = match pip.output() {
        Ok(ended) => ended,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Ok(Ended::NotReached(format!("there is no {}", python.display())));
        }
        Err(error) => return Err(error).context("cannot start pip"),
    };
    if ended.status.success() {
        return Ok(Ended::Done);
    }
    let said = String::from_utf8_lossy(&ended.stderr);
    if said.contains("No module named pip") || UNREACHED.iter().any(|sign| said.contains(sign)) {
        return Ok(Ended::NotReached(last_line(&ended.stderr)));
    }
    bail!("pip failed: {}", last_line(&ended.stderr));
}

/// The last line that says something.
pub(crate) fn last_line(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    text.lines()
        .rev()
        .find(|line| !line.trim().is_empty())
        .unwrap_or("no message")
        .to_owned()
}
