//! The child's side: limits itself, reads a question, compiles, says what that took.

use std::io::{self, Read, Write};

use super::super::build::{Builder, STACK_BYTES};
use super::{Answer, MAX_SENTENCE_BYTES, Question};

/// Answers the question on `input` about one guide, under limits that end the process if they are exceeded. To be the
/// whole work of a process, since the limits stay.
///
/// # Errors
/// Those of reading and writing, and of setting the limits.
pub fn run_child(input: impl Read, mut output: impl Write) -> io::Result<()> {
    let question: Question = serde_json::from_reader(input)?;
    let builder = Builder::new(&question.letters, &question.limits);
    limits::set(&question.limits)?;
    let before = memory_bytes("VmRSS:").unwrap_or(0);
    let answer = match builder.map(|builder| builder.matcher(&question.guide)) {
        None => Answer::Refused("the vocabulary cannot be used for guides".into()),
        // The most it took, since what it keeps cannot be told from what the allocator keeps.
        Some(Ok(_)) => Answer::Bytes(memory_bytes("VmHWM:").unwrap_or(0).saturating_sub(before)),
        Some(Err(reason)) => Answer::Refused(shortened(reason)),
    };
    serde_json::to_writer(&mut output, &answer)?;
    output.flush()
}

fn shortened(mut reason: String) -> String {
    let end = (0..=MAX_SENTENCE_BYTES.min(reason.len()))
        .rev()
        .find(|at| reason.is_char_boundary(*at));
    reason.truncate(end.unwrap_or(0));
    reason
}

/// A figure of this process's memory in bytes, where the system tells it.
fn memory_bytes(name: &str) -> Option<usize> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    let kilobytes: usize = line.trim().trim_end_matches("kB").trim().parse().ok()?;
    Some(kilobytes << 10)
}

#[cfg(target_os = "linux")]
mod limits {
    use std::io;

    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    use super::{STACK_BYTES, memory_bytes};
    use crate::guide::GuideLimits;

    /// Bounds processor time, memory and core dumps of this process, from now on.
    pub(super) fn set(limits: &GuideLimits) -> io::Result<()> {
        let spent = memory_bytes("VmSize:").ok_or_else(|| io::Error::other("/proc tells no VmSize"))?;
        let bytes = spent + STACK_BYTES + limits.compile_bytes;
        // A second between the limits of time: the first signal is told from a kill by somebody else.
        let bounds = [
            (Resource::Cpu, limits.compile_seconds, 1),
            (Resource::As, bytes as u64, 0),
            (Resource::Core, 0, 0),
        ];
        for (resource, most, more) in bounds {
            let hard = getrlimit(resource).maximum.unwrap_or(u64::MAX);
            let most = most.min(hard);
            let both = Rlimit {
                current: Some(most),
                maximum: Some(most.saturating_add(more).min(hard)),
            };
            setrlimit(resource, both)?;
        }
        Ok(())
    }
}

#[cfg(not(target_os = "linux"))]
mod limits {
    use std::io;

    use crate::guide::GuideLimits;

    /// Only the parent's deadline bounds a trial here.
    pub(super) fn set(_: &GuideLimits) -> io::Result<()> {
        Ok(())
    }
}
