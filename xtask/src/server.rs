//! The server under test: the real binary as a child process.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};

use crate::repo;

/// Longest stop that is asked of it.
const STOP_TIME: Duration = Duration::from_secs(60);

/// A running `svs serve`; dropping it kills it.
pub(crate) struct Server {
    child: Child,
    url: String,
    _runs: tempfile::TempDir,
}

impl Server {
    /// Builds the binary unless one is given, and starts it on a free port, with `model` or the embedded policy.
    pub(crate) fn start(binary: Option<&Path>, model: Option<&str>, more: &[&str]) -> anyhow::Result<Self> {
        let model = model.into_iter().flat_map(|model| ["--model", model]);
        let any_name = ["--served-model-name", "*"].into_iter();
        let arguments: Vec<&str> = any_name.chain(model).chain(more.iter().copied()).collect();
        Self::start_in(Path::new("."), &built(binary)?, &arguments)
    }

    /// Starts `binary serve` in a folder on a free port, with these arguments only.
    pub(crate) fn start_in(
        folder: &Path,
        binary: &Path,
        arguments: &[impl AsRef<std::ffi::OsStr>],
    ) -> anyhow::Result<Self> {
        let runs = tempfile::tempdir().context("no folder for the run")?;
        let mut command = Command::new(binary);
        command
            .args(["serve", "--port", "0", "--runs"])
            .arg(runs.path())
            .args(arguments)
            .current_dir(folder)
            .env("SVS_LOG", "info")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut child = command
            .spawn()
            .with_context(|| format!("cannot start {}", binary.display()))?;
        let mut lines = BufReader::new(child.stderr.take().context("no standard error")?).lines();
        let mut said = Vec::new();
        let url = lines.by_ref().map_while(Result::ok).find_map(|line| {
            let url = line.find("http://").and_then(|at| line[at..].split_whitespace().next());
            let url = url.map(str::to_owned);
            said.push(line);
            url
        });
        // What it says later must not fill the pipe.
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(|line| eprintln!("{line}")));
        let Some(url) = url else {
            let _ = child.kill();
            bail!("{} did not say where it listens: {}", binary.display(), said.join("\n"));
        };
        Ok(Self {
            child,
            url,
            _runs: runs,
        })
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Resident memory.
    pub(crate) fn rss_bytes(&self) -> anyhow::Result<f64> {
        let path = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(&path).with_context(|| format!("{path}: the server has ended"))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kilobytes = line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse::<f64>().ok());
        Ok(kilobytes.with_context(|| format!("{path} has no VmRSS"))? * 1024.0)
    }

    /// Asks it to stop; whether it then ended by itself and without a complaint.
    pub(crate) fn stop(&mut self) -> anyhow::Result<bool> {
        repo::run(Command::new("kill").args(["-TERM", &self.child.id().to_string()]))?;
        let deadline = Instant::now() + STOP_TIME;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait()? {
                return Ok(ExitStatus::success(&status));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(false)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `binary`, or the one that is built now.
pub(crate) fn built(binary: Option<&Path>) -> anyhow::Result<PathBuf> {
    match binary {
        Some(binary) => Ok(binary.to_owned()),
        None => build(),
    }
}

fn build() -> anyhow::Result<PathBuf> {
    let mut command = Command::new(env!("CARGO"));
    command
        .args(["build", "--release", "--workspace", "--bin", "svs"])
        .current_dir(repo::root());
    repo::run(&mut command)?;
    let binary = repo::target().join("release").join("svs");
    ensure!(binary.is_file(), "{} was not built", binary.display());
    Ok(binary)
}
