//! The parent's side: starts a child, asks it about a guide, and kills it if it does not answer in time.

use std::io::{self, BufWriter, Read, Write};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
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
    let asked = ask(&mut child.0, &question);
    let status = child.wait(Duration::from_secs(limits.compile_seconds) * PATIENCE)?;
    if !status.is_some_and(|status| status.success()) {
        return Ok(Err(exceeded(status, limits)));
    }
    asked?;
    let mut said = String::new();
    let stdout = child.0.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
    stdout.take(8 * MAX_SENTENCE_BYTES as u64).read_to_string(&mut said)?;
    Ok(match serde_json::from_str(&said)? {
        Answer::Bytes(bytes) => Ok(bytes),
        Answer::Refused(reason) => Err(reason),
    })
}

fn ask(child: &mut Child, question: &Question) -> io::Result<()> {
    // Dropped at the end, so that the child sees where the question ends.
    let mut stdin = BufWriter::new(child.stdin.take().ok_or(io::ErrorKind::BrokenPipe)?);
    serde_json::to_writer(&mut stdin, question)?;
    stdin.flush()
}

/// Which bound a child died of.
fn exceeded(status: Option<ExitStatus>, limits: &GuideLimits) -> String {
    let seconds = limits.compile_seconds;
    let time = format!("takes more than {seconds} s of processor time to compile (engine.guides.compile_seconds)");
    let Some(status) = status else { return time };
    #[cfg(unix)]
    {
        use std::os::unix::process::ExitStatusExt;

        // SIGXCPU, and SIGKILL where the hard limit is the soft one.
        if matches!(status.signal(), Some(9 | 24)) {
            return time;
        }
    }
    let bytes = limits.compile_bytes;
    format!(
        "takes more than {bytes} bytes of memory to compile (engine.guides.compile_bytes); the trial ended with {status}"
    )
}

/// A child that does not outlive its parent's interest.
struct Killed(Child);

impl Killed {
    /// Waits at most `patience`; `None` if it had to be killed.
    fn wait(&mut self, patience: Duration) -> io::Result<Option<ExitStatus>> {
        let deadline = Instant::now() + patience;
        while Instant::now() < deadline {
            if let Some(status) = self.0.try_wait()? {
                return Ok(Some(status));
            }
            std::thread::sleep(LOOK);
        }
        self.0.kill()?;
        self.0.wait()?;
        Ok(None)
    }
}

impl Drop for Killed {
    fn drop(&mut self) {
        // It has ended already, unless an error cut the trial short.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
