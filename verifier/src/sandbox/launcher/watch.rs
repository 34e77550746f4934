//! Init's watch over what the kernel does not count for a tree of processes: memory and processor time together.

use std::io;
use std::os::fd::BorrowedFd;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, WaitOptions, WaitStatus, pidfd_open, wait};

use super::calls;
use super::processes::{Held, Processes};
use crate::sandbox::job::{Ended, Limits};

/// Pause between two looks: what a tree can take in it is little beside a limit.
const LOOK: Duration = Duration::from_millis(10);

/// How a program ended, or which limit it is beyond.
pub(super) struct Found {
    pub(super) ended: Ended,
    pub(super) cpu_ms: u64,
    pub(super) peak_bytes: u64,
}

/// A watch over one program.
pub(super) struct Watch<'a> {
    limits: &'a Limits,
    /// Without it only the program's end is awaited.
    processes: Option<&'a Processes>,
    /// Whether the kernel bounds how many there are, which counts them better.
    bounded: bool,
    ticks_per_second: u64,
}

impl<'a> Watch<'a> {
    pub(super) fn new(limits: &'a Limits, processes: Option<&'a Processes>, bounded: bool) -> Self {
        Self {
            limits,
            processes,
            bounded,
            ticks_per_second: calls::ticks_per_second(),
        }
    }

    /// Waits until the program has ended or its tree is beyond a limit; `None` when nobody reads at the other end of
    /// `speaker` any more.
    pub(super) fn until_end(&self, program: Pid, speaker: BorrowedFd<'_>) -> io::Result<Option<Found>> {
        let end = pidfd_open(program, PidfdFlags::empty())?;
        let pause = Timespec::try_from(LOOK).map_err(io::Error::other)?;
        loop {
            let speaker = PollFd::from_borrowed_fd(speaker, PollFlags::empty());
            let mut polled = [PollFd::new(&end, PollFlags::IN), speaker];
            match poll(&mut polled, Some(&pause)) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            if polled[1].revents().contains(PollFlags::ERR) {
                return Ok(None);
            }
            if let Some(status) = reap(program)? {
                let (cpu_ms, peak_bytes) = calls::children_spent();
                return Ok(Some(Found {
                    ended: ending(status, cpu_ms, self.limits.cpu_ms),
                    cpu_ms,
                    peak_bytes,
                }));
            }
            // A second look tells what was counted twice in the first.
            if let (Some(_), Some(found)) = (self.look(), self.look()) {
                return Ok(Some(found));
            }
        }
    }

    /// The limit that the tree is beyond.
    fn look(&self) -> Option<Found> {
        let Held { bytes, ticks, threads } = self.processes?.held();
        let cpu_ms = ticks * 1000 / self.ticks_per_second + calls::children_spent().0;
        let beyond = [
            (Ended::OverMemory, bytes > self.limits.memory_bytes),
            (Ended::OverCpu, cpu_ms > self.limits.cpu_ms),
            (Ended::OverProcesses, !self.bounded && threads > self.limits.processes),
        ];
        let (ended, _) = beyond.into_iter().find(|(_, beyond)| *beyond)?;
        Some(Found {
            ended,
            cpu_ms,
            peak_bytes: bytes,
        })
    }
}

/// Takes the status of every child that ended, the program's and orphans'.
fn reap(program: Pid) -> io::Result<Option<WaitStatus>> {
    let mut found = None;
    loop {
        match wait(WaitOptions::NOHANG) {
            Ok(Some((pid, status))) if pid == program => found = Some(status),
            Ok(Some(_)) | Err(Errno::INTR) => {}
            Ok(None) | Err(Errno::CHILD) => return Ok(found),
            Err(error) => return Err(error.into()),
        }
    }
}

/// How a program ended, by its status.
fn ending(status: WaitStatus, cpu_ms: u64, most_ms: u64) -> Ended {
    const SIGXCPU: i32 = 24;
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => Ended::Exited(code),
        (None, Some(SIGXCPU)) => Ended::OverCpu,
        (None, Some(_)) if cpu_ms >= most_ms => Ended::OverCpu,
        (None, signal) => Ended::Signalled(signal.unwrap_or(0)),
    }
}
