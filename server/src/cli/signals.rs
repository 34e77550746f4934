//! Signals of the process: what asks it to stop, and what must not end it.

use anyhow::Context;
use rustix::process::Signal;
use tokio::signal::unix::{SignalKind, signal};

/// Status of a process that a signal ended, less the number of the signal.
const SIGNALLED: i32 = 128;

/// Where the process is asked to stop: SIGINT and SIGTERM.
#[derive(Debug)]
pub(super) struct Asked([(SignalKind, tokio::signal::unix::Signal); 2]);

impl Asked {
    /// Listens from now on, inside a runtime.
    ///
    /// # Errors
    /// The system refuses.
    pub(super) fn listen() -> anyhow::Result<Self> {
        let heard = |kind| signal(kind).map(|signal| (kind, signal));
        Ok(Self([
            heard(SignalKind::interrupt()).context("cannot listen for SIGINT")?,
            heard(SignalKind::terminate()).context("cannot listen for SIGTERM")?,
        ]))
    }

    /// Resolves at the next of them; the status that shells give a process that dies of it.
    pub(super) async fn next(&mut self) -> i32 {
        let [(interrupt, one), (terminate, other)] = &mut self.0;
        let kind = tokio::select! {
            _ = one.recv() => interrupt,
            _ = other.recv() => terminate,
        };
        SIGNALLED + kind.as_raw_value()
    }
}

/// A file that reaches the limit of the process (`ulimit -f`) is from now on a write that fails, as on a full disk, instead of
/// the end of the process. Inside a runtime.
///
/// # Errors
/// The system refuses.
pub(super) fn outlive_file_limit() -> anyhow::Result<()> {
    // The handler stays when what listens goes; that there is one is all that counts.
    drop(signal(SignalKind::from_raw(Signal::XFSZ.as_raw())).context("cannot listen for SIGXFSZ")?);
    Ok(())
}
