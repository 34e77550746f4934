//! Init's watch over what the kernel does not count for a tree of processes: memory and processor time together.

use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Dir, Mode, OFlags, openat};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, WaitOptions, WaitStatus, pidfd_open, wait};

use super::calls;
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
    /// The folder of processes; without it only the program's end is awaited.
    processes: Option<&'a OwnedFd>,
    ticks_per_second: u64,
}

impl<'a> Watch<'a> {
    pub(super) fn new(limits: &'a Limits, processes: Option<&'a OwnedFd>) -> Self {
        Self {
            limits,
            processes,
            ticks_per_second: calls::ticks_per_second(),
        }
    }

    /// Waits until the program has ended or its tree is beyond a limit.
    pub(super) fn until_end(&self, program: Pid) -> io::Result<Found> {
        let end = pidfd_open(program, PidfdFlags::empty())?;
        let pause = Timespec::try_from(LOOK).map_err(io::Error::other)?;
        loop {
            match poll(&mut [PollFd::new(&end, PollFlags::IN)], Some(&pause)) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            if let Some(status) = reap(program)? {
                let (cpu_ms, peak_bytes) = calls::children_spent();
                return Ok(Found {
                    ended: ending(status, cpu_ms, self.limits.cpu_ms),
                    cpu_ms,
                    peak_bytes,
                });
            }
            if let Some(found) = self.look() {
                return Ok(found);
            }
        }
    }

    /// The limit that the tree is beyond.
    fn look(&self) -> Option<Found> {
        let processes = self.processes?;
        let (mut peak_bytes, mut ticks) = (0, 0);
        for entry in Dir::read_from(processes).ok()?.flatten() {
            let name = entry.file_name().to_str().unwrap_or_default();
            if name.bytes().all(|byte| byte.is_ascii_digit()) && name != "1" {
                peak_bytes += self.read(&format!("{name}/status")).map_or(0, |text| resident(&text));
                ticks += self.read(&format!("{name}/stat")).map_or(0, |text| spent(&text));
            }
        }
        let cpu_ms = ticks * 1000 / self.ticks_per_second + calls::children_spent().0;
        let ended = if peak_bytes > self.limits.memory_bytes {
            Ended::OverMemory
        } else if cpu_ms > self.limits.cpu_ms {
            Ended::OverCpu
        } else {
            return None;
        };
        Some(Found {
            ended,
            cpu_ms,
            peak_bytes,
        })
    }

    /// A file of the folder of processes; `None` if the process has ended.
    fn read(&self, path: &str) -> Option<String> {
        let file = openat(self.processes?, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).ok()?;
        let mut text = String::new();
        std::fs::File::from(file)
            .take(16 << 10)
            .read_to_string(&mut text)
            .ok()?;
        Some(text)
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

/// Bytes that a process keeps resident or swapped and that no file can give back, of its `status`.
pub(super) fn resident(status: &str) -> u64 {
    let kilobytes = |line: &str| {
        let (name, value) = line.split_once(':')?;
        let counts = matches!(name, "RssAnon" | "RssShmem" | "VmSwap");
        counts.then(|| value.trim().trim_end_matches("kB").trim().parse::<u64>().ok())?
    };
    status.lines().filter_map(kilobytes).sum::<u64>() << 10
}

/// Ticks of processor time of a process and of its children that it waited for, of its `stat`.
pub(super) fn spent(stat: &str) -> u64 {
    // The name may hold spaces and parentheses; the last parenthesis ends it.
    let after = stat.rsplit_once(')').map_or("", |(_, after)| after);
    let ticks = after.split_whitespace().skip(11).take(4);
    ticks.filter_map(|field| field.parse::<u64>().ok()).sum()
}
