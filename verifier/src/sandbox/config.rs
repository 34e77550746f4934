//! `[reward.code]`: whether programs are run, by what, and within which limits.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::job::Limits;

/// Whether programs of responses are run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CodeMode {
    /// Never: graders of code are refused.
    #[default]
    Off,
    /// With every protection, or not at all.
    Strict,
    /// With the protections that this machine gives, whichever those are.
    Permissive,
}

/// `[reward.code]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SandboxConfig {
    /// Whether programs are run.
    pub mode: CodeMode,
    /// The Python that runs them: a name in PATH or a path.
    pub python: String,
    /// Programs at once; `None` is as many as there are cores.
    pub parallel: Option<usize>,
    /// Processor time of a program with all its processes, milliseconds.
    pub cpu_ms: u64,
    /// Time of a program, milliseconds.
    pub wall_ms: u64,
    /// Time of all the tests of one response, milliseconds.
    pub response_ms: u64,
    /// Memory of a program with all its processes, MiB.
    pub memory_mb: u64,
    /// What a program may write into its folder, MiB.
    pub disk_mb: u64,
    /// Processes and threads of a program at once.
    pub processes: u64,
    /// What a program may write to its standard output, and as much to its standard error, KiB.
    pub output_kb: u64,
    /// How often a program is started before a failing machine is a fault.
    pub attempts: u32,
    /// Further files and folders that programs may read.
    pub read_only: Vec<PathBuf>,
    /// The program that launches others when its argument is [`super::LAUNCHER_ARGUMENT`]; `None` is the running one.
    #[serde(skip)]
    pub launcher: Option<PathBuf>,
}

impl Default for SandboxConfig {
    fn default() -> Self {
        Self {
            mode: CodeMode::Off,
            python: "python3".to_owned(),
            parallel: None,
            cpu_ms: 5_000,
            wall_ms: 10_000,
            response_ms: 60_000,
            memory_mb: 512,
            disk_mb: 16,
            processes: 16,
            output_kb: 1024,
            attempts: 3,
            read_only: Vec::new(),
            launcher: None,
        }
    }
}

impl SandboxConfig {
    /// Checks ranges.
    ///
    /// # Errors
    /// The dotted name of the first offending key, and what is wrong with it.
    pub fn validate(&self) -> Result<(), (&'static str, String)> {
        let ranges = [
            ("reward.code.parallel", self.parallel.unwrap_or(1) as u64, 1, 4096),
            ("reward.code.cpu_ms", self.cpu_ms, 10, 3_600_000),
            ("reward.code.wall_ms", self.wall_ms, 10, 3_600_000),
            ("reward.code.response_ms", self.response_ms, self.wall_ms, 86_400_000),
            ("reward.code.memory_mb", self.memory_mb, 16, 1 << 20),
            ("reward.code.disk_mb", self.disk_mb, 1, 1 << 20),
            ("reward.code.processes", self.processes, 1, 4096),
            ("reward.code.output_kb", self.output_kb, 1, 1 << 20),
            ("reward.code.attempts", u64::from(self.attempts), 1, 10),
        ];
        for (key, value, least, most) in ranges {
            if !(least..=most).contains(&value) {
                return Err((key, format!("must lie in {least}..={most}")));
            }
        }
        if self.python.is_empty() {
            return Err(("reward.code.python", "must not be empty".into()));
        }
        match self.read_only.iter().find(|path| !path.is_absolute()) {
            Some(path) => Err(("reward.code.read_only", format!("{} is not absolute", path.display()))),
            None => Ok(()),
        }
    }

    /// The limits of one program.
    #[must_use]
    pub fn limits(&self) -> Limits {
        Limits {
            cpu_ms: self.cpu_ms,
            wall_ms: self.wall_ms,
            memory_bytes: self.memory_mb << 20,
            disk_bytes: self.disk_mb << 20,
            processes: self.processes,
            output_bytes: self.output_kb << 10,
        }
    }

    /// Programs at once.
    #[must_use]
    pub fn places(&self) -> usize {
        self.parallel
            .unwrap_or_else(|| std::thread::available_parallelism().map_or(1, std::num::NonZero::get))
            .max(1)
    }

    /// The program to start as a launcher.
    pub(super) fn launcher(&self) -> PathBuf {
        // The link holds when the file has been replaced meanwhile.
        self.launcher.clone().unwrap_or_else(|| "/proc/self/exe".into())
    }
}
