//! The grading process's side: starts a launcher, tells it a job, waits for its report, and kills it if none comes.

use std::io::{self, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::job::{Job, Report, Run};
use super::{LAUNCHER_ARGUMENT, SandboxFault};

/// Pause before a failing machine is asked again, times the attempts made.
pub(super) const PAUSE: Duration = Duration::from_millis(50);
/// Time beyond the program's own in which a launcher must report: a loaded machine starts slowly.
const GRACE: Duration = Duration::from_secs(20);
/// Room for the head of a report.
const HEAD_BYTES: u64 = 64 << 10;

/// Runs a job in a launcher, whose standard error is `link`.
pub(super) fn run(launcher: &Path, job: &Job, link: Stdio) -> Result<Run, SandboxFault> {
    let report = ask(launcher, job, link).map_err(|error| SandboxFault::Launcher(error.to_string()))?;
    match report {
        Report::Ran(run) => Ok(run),
        Report::Refused(why) => Err(SandboxFault::Refused(why)),
    }
}

fn ask(launcher: &Path, job: &Job, link: Stdio) -> io::Result<Report> {
    let told = serde_json::to_vec(job)?;
    let child = Command::new(launcher)
        .arg(LAUNCHER_ARGUMENT)
        // Nothing of this process's environment, which may hold keys.
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(link)
        .spawn()?;
    let mut child = Killed(child);
    let broken = || io::Error::from(io::ErrorKind::BrokenPipe);
    let mut stdin = child.0.stdin.take().ok_or_else(broken)?;
    let stdout = child.0.stdout.take().ok_or_else(broken)?;
    let patience = Duration::from_millis(job.limits.wall_ms) + GRACE;
    let most = HEAD_BYTES + 2 * job.limits.output_bytes;
    std::thread::scope(|scope| {
        // A launcher that does not read must not hold us up beyond our patience.
        let telling = scope.spawn(move || stdin.write_all(&told));
        let said = read(stdout, most, Instant::now() + patience);
        if said.is_err() {
            child.end();
        }
        let told = telling
            .join()
            .map_err(|_| io::Error::other("the job could not be told"))?;
        let said = said?;
        told?;
        let status = child.0.wait()?;
        if said.is_empty() || !status.success() {
            return Err(io::Error::other(format!("it ended with {status} and no report")));
        }
        Report::read(&said)
    })
}

/// Everything up to the end, but no more than `most` bytes and not beyond `deadline`.
#[cfg(target_os = "linux")]
fn read(mut stdout: std::process::ChildStdout, most: u64, deadline: Instant) -> io::Result<Vec<u8>> {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    let (mut said, mut chunk) = (Vec::new(), vec![0; 64 << 10]);
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let left = Timespec::try_from(left).map_err(|_| io::ErrorKind::TimedOut)?;
        match poll(&mut [PollFd::new(&stdout, PollFlags::IN)], Some(&left)) {
            Ok(0) => return Err(io::ErrorKind::TimedOut.into()),
            Ok(_) => {}
            Err(rustix::io::Errno::INTR) => continue,
            Err(error) => return Err(error.into()),
        }
        match stdout.read(&mut chunk)? {
            0 => return Ok(said),
            read if said.len() + read > usize::try_from(most).unwrap_or(usize::MAX) => {
                return Err(io::Error::other("the report is too long"));
            }
            read => said.extend_from_slice(&chunk[..read]),
        }
    }
}

/// Elsewhere a launcher only refuses, at once.
#[cfg(not(target_os = "linux"))]
fn read(stdout: std::process::ChildStdout, most: u64, _: Instant) -> io::Result<Vec<u8>> {
    let mut said = Vec::new();
    stdout.take(most).read_to_end(&mut said)?;
    Ok(said)
}

/// A child that does not outlive its parent's interest.
struct Killed(Child);

impl Killed {
    /// Kills it, unless it has ended already. What it launched dies with it.
    fn end(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Killed {
    fn drop(&mut self) {
        self.end();
    }
}
