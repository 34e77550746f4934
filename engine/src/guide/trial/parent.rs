//! The parent's side: starts a child, asks it about a guide, and kills it if it does not answer in time.

use std::io::{self, BufWriter, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use super::super::vocabulary::Vocabulary;
use super::super::{Guide, GuideLimits};
use super::{Answer, MAX_SENTENCE_BYTES, Question};

/// Wall-clock time of a trial as a multiple of its processor time: a loaded machine refuses no sound guide.
const PATIENCE: u32 = 15;
/// Pause between two looks at a child.
const LOOK: Duration = Duration::from_millis(2);

/// Tries `guide` in a process of `program`; says how much memory it took.
///
/// # Errors
/// A sentence that says what is wrong with the guide, or which bound it exceeds; [`io::Error`] if no child can run.
pub(in super::super) fn try_guide(
    program: &Path,
    vocabulary: &Vocabulary,
    guide: &Guide,
    limits: &GuideLimits,
) -> io::Result<Result<usize, String>> {
    let child = Command::new(program)
        .arg("guide-trial")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let mut child = Killed(child);
    let question = Question {
        limits: limits.clone(),
        letters: vocabulary.letters(),
        guide: guide.clone(),
    };
    let stdin = child.0.stdin.take().ok_or(io::ErrorKind::BrokenPipe)?;
    let patience = Duration::from_secs(limits.compile_seconds).saturating_mul(PATIENCE);
    // A child that does not read must not hold us up beyond our patience.
    let (asked, status) = std::thread::scope(|scope| {
        let asking = scope.spawn(|| ask(stdin, &question));
        let status = child.wait(patience);
        (asking.join(), status)
    });
    let status = status?;
    if !status.success() {
        return exceeded(status, limits).map(Err);
    }
    asked.map_err(|_| io::Error::other("the question could not be asked"))??;
    let mut said = String::new();
    let stdout = child.0.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
    stdout.take(8 * MAX_SENTENCE_BYTES as u64).read_to_string(&mut said)?;
    Ok(match serde_json::from_str(&said)? {
        Answer::Bytes(bytes) => Ok(bytes),
        Answer::Refused(reason) => Err(reason),
    })
}

fn ask(stdin: ChildStdin, question: &Question) -> io::Result<()> {
    // Dropped at the end, so that the child sees where the question ends.
    let mut stdin = BufWriter::new(stdin);
    serde_json::to_writer(&mut stdin, question)?;
    stdin.flush()
}

/// Which bound a child died of; an error if it was none of them, which says nothing of the guide.
fn exceeded(status: ExitStatus, limits: &GuideLimits) -> io::Result<String> {
    const SIGABRT: i32 = 6;
    const SIGSEGV: i32 = 11;
    const SIGXCPU: i32 = 24;
    let (seconds, bytes) = (limits.compile_seconds, limits.compile_bytes);
    match signal(status) {
        Some(SIGXCPU) => Ok(format!(
            "takes more than {seconds} s of processor time to compile (engine.guides.compile_seconds)"
        )),
        // How a failed allocation ends a process.
        Some(SIGABRT) => Ok(format!(
            "takes more than {bytes} bytes of memory to compile (engine.guides.compile_bytes)"
        )),
        Some(SIGSEGV) => Ok("is nested too deeply to compile".into()),
        _ => Err(io::Error::other(format!("the trial ended with {status}"))),
    }
}

#[cfg(unix)]
fn signal(status: ExitStatus) -> Option<i32> {
    std::os::unix::process::ExitStatusExt::signal(&status)
}

#[cfg(not(unix))]
fn signal(_: ExitStatus) -> Option<i32> {
    None
}

/// A child that does not outlive its parent's interest.
struct Killed(Child);

impl Killed {
    /// Waits at most `patience`, then kills it.
    fn wait(&mut self, patience: Duration) -> io::Result<ExitStatus> {
        let began = Instant::now();
        let error = loop {
            match self.0.try_wait() {
                Ok(Some(status)) => return Ok(status),
                Ok(None) if began.elapsed() < patience => std::thread::sleep(LOOK),
                Ok(None) => break io::ErrorKind::TimedOut.into(),
                Err(error) => break error,
            }
        };
        self.end();
        Err(error)
    }

    /// Kills it, unless it has ended already.
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
