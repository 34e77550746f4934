//! `cargo xtask gpu-check`: device tests and benches in one binary, which a GPU machine needs nothing else to run.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail};
use serde_json::Value;

use super::toolchain::Toolkit;
use super::{kernels, libcuda};
use crate::repo;

/// Largest size of the binary.
const MAX_BYTES: u64 = 60_000_000;

/// Options of `gpu-check`.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Only build the binary and print its size.
    #[arg(long)]
    build_only: bool,
    /// Run the device tests on a stand-in for the driver that runs the kernels on the CPU. No GPU is tested by that.
    #[arg(long, conflicts_with = "build_only")]
    emulated: bool,
    /// Names of device tests, or parts of them; all by default.
    tests: Vec<String>,
}

pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let toolkit = Toolkit::find()?;
    let count = kernels::check(&toolkit)?;
    println!("{count} kernels compile for sm_90");
    let binary = build(&kernels::ptx(&toolkit)?)?;
    let bytes = fs::metadata(&binary)?.len();
    println!("{}: {:.1} MB", binary.display(), bytes as f64 * 1e-6);
    if bytes > MAX_BYTES {
        bail!("the binary has {bytes} bytes, more than {MAX_BYTES}");
    }
    if options.build_only {
        println!("copy it to a machine with a GPU and run it there with --bench");
        return Ok(());
    }
    let mut command = Command::new(&binary);
    if options.emulated {
        let folder = toolkit.folder.join("emulator");
        libcuda::emulator(&folder)?;
        command.env("LD_LIBRARY_PATH", std::path::absolute(folder)?);
    } else {
        command.arg("--bench");
    }
    repo::run(command.args(&options.tests))
}

/// Builds the device tests with the kernels inside, into target/gpu-check.
fn build(ptx: &Path) -> anyhow::Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built = Command::new(cargo)
        .args(["test", "--release", "--workspace", "--features", "svs-engine/cuda-ptx"])
        .args([
            "--test",
            "devices",
            "--no-run",
            "--message-format",
            "json-render-diagnostics",
        ])
        .env("SVS_CUDA_PTX", ptx)
        .current_dir(repo::root())
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .context("cannot start cargo")?;
    if !built.status.success() {
        bail!("the device tests do not build");
    }
    let messages = String::from_utf8_lossy(&built.stdout).into_owned();
    let made = executable(&messages).context("cargo has not said where the device tests are")?;
    let folder = repo::target().join("gpu-check");
    fs::create_dir_all(&folder)?;
    let binary = folder.join("svs-gpu-check");
    // Without line tables; a copy is small enough with them where there is no strip.
    let stripped = Command::new("strip").arg("-o").arg(&binary).arg(&made).status();
    if !stripped.is_ok_and(|status| status.success()) {
        fs::copy(&made, &binary).with_context(|| format!("cannot write {}", binary.display()))?;
    }
    Ok(binary)
}

/// The executable of the device tests among cargo's messages.
pub(super) fn executable(messages: &str) -> Option<PathBuf> {
    let parsed = messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut devices = parsed.filter(|message| message["target"]["name"] == "devices");
    devices.find_map(|message| message["executable"].as_str().map(PathBuf::from))
}
