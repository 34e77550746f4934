//! What a launcher is told and what it reports.

use std::io::{self, BufRead, Read, Write};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::Protections;

/// Most bytes of a report's head.
const MAX_HEAD: u64 = 64 << 10;

/// Limits of one program with all its processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Processor time, milliseconds.
    pub cpu_ms: u64,
    /// Time, milliseconds.
    pub wall_ms: u64,
    /// Memory.
    pub memory_bytes: u64,
    /// What it may write into its folder.
    pub disk_bytes: u64,
    /// Processes and threads at once.
    pub processes: u64,
    /// Standard output, and as much standard error.
    pub output_bytes: u64,
}

/// What a launcher is told.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Job {
    pub(super) files: Vec<(String, String)>,
    pub(super) command: Vec<String>,
    pub(super) visible: Vec<PathBuf>,
    pub(super) stdin: String,
    /// The launcher's standard error is the stream to another program.
    pub(super) linked: bool,
    pub(super) limits: Limits,
    pub(super) strict: bool,
}

/// How a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    /// By itself, with this status.
    Exited(i32),
    /// By this signal.
    Signalled(i32),
    /// At its limit of time.
    OverTime,
    /// At its limit of processor time.
    OverCpu,
    /// At its limit of memory.
    OverMemory,
    /// At its limit of output.
    OverOutput,
    /// At its limit of processes, where the kernel does not refuse them more.
    OverProcesses,
}

/// A program that was run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// How it ended.
    pub ended: Ended,
    /// What it wrote to its standard output, up to the limit.
    pub stdout: Vec<u8>,
    /// What it wrote to its standard error, up to the limit.
    pub stderr: Vec<u8>,
    /// Processor time of those of its processes that were waited for.
    pub cpu_ms: u64,
    /// From start to end.
    pub wall_ms: u64,
    /// Most resident memory of one of its processes.
    pub peak_bytes: u64,
    /// What held it.
    pub protections: Protections,
}

/// What a launcher reports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Report {
    /// The program was not run.
    Refused(String),
    /// It was.
    Ran(Run),
}

/// The line before the bytes of a report.
#[derive(Debug, Serialize, Deserialize)]
enum Head {
    Refused(String),
    Ran {
        ended: Ended,
        stdout_bytes: u64,
        stderr_bytes: u64,
        cpu_ms: u64,
        wall_ms: u64,
        peak_bytes: u64,
        protections: Protections,
    },
}

impl Report {
    /// Writes it as a line of JSON and the bytes of both outputs.
    pub(super) fn write(&self, mut output: impl Write) -> io::Result<()> {
        let head = match self {
            Self::Refused(why) => Head::Refused(why.clone()),
            Self::Ran(run) => Head::Ran {
                ended: run.ended,
                stdout_bytes: run.stdout.len() as u64,
                stderr_bytes: run.stderr.len() as u64,
                cpu_ms: run.cpu_ms,
                wall_ms: run.wall_ms,
                peak_bytes: run.peak_bytes,
                protections: run.protections,
            },
        };
        let mut bytes = serde_json::to_vec(&head)?;
        bytes.push(b'\n');
        if let Self::Ran(run) = self {
            bytes.extend_from_slice(&run.stdout);
            bytes.extend_from_slice(&run.stderr);
        }
        output.write_all(&bytes)?;
        output.flush()
    }

    /// Reads what [`Self::write`] wrote.
    pub(super) fn read(mut bytes: &[u8]) -> io::Result<Self> {
        let mut line = Vec::new();
        bytes.by_ref().take(MAX_HEAD).read_until(b'\n', &mut line)?;
        let (ended, sizes, spent, protections) = match serde_json::from_slice(&line)? {
            Head::Refused(why) => return Ok(Self::Refused(why)),
            Head::Ran {
                ended,
                stdout_bytes,
                stderr_bytes,
                cpu_ms,
                wall_ms,
                peak_bytes,
                protections,
            } => (
                ended,
                (stdout_bytes, stderr_bytes),
                (cpu_ms, wall_ms, peak_bytes),
                protections,
            ),
        };
        let mut taken = |size: u64| -> io::Result<Vec<u8>> {
            let size = usize::try_from(size).unwrap_or(usize::MAX);
            let (part, rest) = bytes.split_at_checked(size).ok_or(io::ErrorKind::UnexpectedEof)?;
            bytes = rest;
            Ok(part.to_vec())
        };
        Ok(Self::Ran(Run {
            ended,
            stdout: taken(sizes.0)?,
            stderr: taken(sizes.1)?,
            cpu_ms: spent.0,
            wall_ms: spent.1,
            peak_bytes: spent.2,
            protections,
        }))
    }
}
