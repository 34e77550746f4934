//! Running programs that nobody has read: each in a process tree of its own that sees an empty folder, the interpreter
//! and nothing else, under limits that the kernel enforces and a watch over what it does not count.
//!
//! The process that grades has threads, so it prepares nothing between fork and exec: it starts its own program again
//! as a *launcher*, which has one thread, makes the namespaces, starts the program in them, drains its output under a
//! cap and reports. What the launcher is told is the program and its input; expected outputs are not part of a job.
//! This module knows no tests and no rewards.

mod config;
mod fault;
mod host;
mod job;
#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
mod launcher;
mod protections;
mod python;
mod slots;
#[cfg(test)]
mod tests;

#[cfg(unix)]
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::OnceLock;

pub use config::{CodeMode, SandboxConfig};
pub use fault::SandboxFault;
pub use job::{Ended, Limits, Run};
pub use protections::Protections;

use job::Job;
use python::Python;
use slots::Slots;

/// Argument that makes a program a launcher; it must then call [`run_launcher`] and nothing else.
pub const LAUNCHER_ARGUMENT: &str = "sandbox-launcher";
/// The folder that a program runs in.
pub const HOME: &str = "/box";

/// What is run.
#[derive(Debug, Clone, Default)]
pub struct Program {
    /// Files that it finds in its folder, by name.
    pub files: Vec<(String, String)>,
    /// The program and its arguments; the path must lie below `visible`.
    pub command: Vec<String>,
    /// What it may read besides its folder: files and folders of this machine.
    pub visible: Vec<PathBuf>,
    /// What it reads from its standard input.
    pub stdin: String,
}

/// Runs programs apart from this machine, at most so many at once.
#[derive(Debug)]
pub struct Sandbox {
    config: SandboxConfig,
    slots: Slots,
    python: OnceLock<Result<Python, SandboxFault>>,
}

impl Sandbox {
    /// A sandbox by `config`; nothing is started yet.
    #[must_use]
    pub fn new(config: &SandboxConfig) -> Self {
        Self {
            slots: Slots::new(config.places()),
            config: config.clone(),
            python: OnceLock::new(),
        }
    }

    /// What it was made from.
    #[must_use]
    pub fn config(&self) -> &SandboxConfig {
        &self.config
    }

    /// Runs a program to its end or to a limit. A machine that fails is asked again, as often as the configuration says.
    ///
    /// # Errors
    /// [`SandboxFault`]: the program was not run, or how it ended is not known. Nothing that a program does leads here.
    pub fn run(&self, program: &Program, limits: &Limits) -> Result<Run, SandboxFault> {
        let job = self.job(program, limits, false);
        self.attempt(|launcher| host::run(launcher, &job, Stdio::null()))
    }

    /// Runs two programs at once, each of which finds a stream to the other as descriptor 3. They take one place.
    ///
    /// # Errors
    /// As [`Self::run`].
    #[cfg(unix)]
    pub fn run_linked(&self, programs: [(&Program, &Limits); 2]) -> Result<[Run; 2], SandboxFault> {
        let jobs = programs.map(|(program, limits)| self.job(program, limits, true));
        let [first, second] = &jobs;
        self.attempt(|launcher| {
            let ends = std::os::unix::net::UnixStream::pair();
            let (one, other) = ends.map_err(|error| SandboxFault::Launcher(error.to_string()))?;
            let (one, other) = (OwnedFd::from(one).into(), OwnedFd::from(other).into());
            std::thread::scope(|scope| {
                let running = scope.spawn(|| host::run(launcher, first, one));
                let other = host::run(launcher, second, other);
                let one = running
                    .join()
                    .map_err(|_| SandboxFault::Launcher("a thread died".to_owned()))?;
                Ok([one?, other?])
            })
        })
    }

    fn job(&self, program: &Program, limits: &Limits, linked: bool) -> Job {
        Job {
            files: program.files.clone(),
            command: program.command.clone(),
            visible: program.visible.clone(),
            stdin: program.stdin.clone(),
            linked,
            limits: *limits,
            strict: self.config.mode == CodeMode::Strict,
        }
    }

    fn attempt<T>(&self, run: impl Fn(&Path) -> Result<T, SandboxFault>) -> Result<T, SandboxFault> {
        if self.config.mode == CodeMode::Off {
            return Err(SandboxFault::Off);
        }
        let _place = self.slots.take();
        let launcher = self.config.launcher();
        let mut attempt = 1;
        loop {
            match run(&launcher) {
                Err(fault) if fault.may_pass() && attempt < self.config.attempts => {
                    std::thread::sleep(host::PAUSE * attempt);
                    attempt += 1;
                }
                ended => return ended,
            }
        }
    }

    /// A Python program: `files` with a `main.py`.
    ///
    /// # Errors
    /// [`SandboxFault::NoPython`].
    pub fn python(&self, files: Vec<(String, String)>, stdin: String) -> Result<Program, SandboxFault> {
        let found = self.python.get_or_init(|| Python::find(&self.config.python)).clone();
        let python = found?;
        let command = [python.executable.as_str(), "-s", "-B", "main.py"];
        Ok(Program {
            files,
            command: command.map(str::to_owned).to_vec(),
            visible: python.visible.iter().chain(&self.config.read_only).cloned().collect(),
            stdin,
        })
    }

    /// What holds a program here: found out by running one.
    ///
    /// # Errors
    /// [`SandboxFault`].
    pub fn protections(&self) -> Result<Protections, SandboxFault> {
        let program = self.python(vec![("main.py".to_owned(), String::new())], String::new())?;
        Ok(self.run(&program, &self.config.limits())?.protections)
    }
}

/// The whole work of a launcher process: reads a job from its standard input, runs it, reports on its standard output.
///
/// # Errors
/// Those of reading and writing. What is wrong with the machine is in the report.
pub fn run_launcher() -> std::io::Result<()> {
    #[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
    return launcher::run();
    #[cfg(not(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"))))]
    return job::Report::Refused("programs run on Linux on x86-64 and ARM64 only".to_owned()).write(std::io::stdout());
}
