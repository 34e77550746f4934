//! `cargo xtask gpu-check`: device tests and benches in one binary, which a GPU machine needs nothing else to run.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, bail};
use serde_json::Value;

use super::toolchain::Toolkit;
use super::{kernels, libcuda};
use crate::repo;

/// Largest size of the binary.
const MAX_BYTES: u64 = 60_000_000;
/// Compute capability of the H100 and H200, the only one that its kernels of `fast` are for.
const COMPUTE_CAP: u32 = 90;

/// Options of `gpu-check`.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Only build the binary and print its size.
    #[arg(long)]
    build_only: bool,
    /// Run the device tests on a stand-in for the driver that runs the kernels on the CPU. No GPU is tested by that.
    #[arg(long, conflicts_with = "build_only")]
    emulated: bool,
    /// Leave out the mode `fast`, whose kernels take nvcc some 12 minutes of processor time when they are first built.
    #[arg(long)]
    exact_only: bool,
    /// Names of device tests, or parts of them; all by default.
    tests: Vec<String>,
}

pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let toolkit = Toolkit::find()?;
    let count = kernels::check(&toolkit)?;
    println!("{count} kernels compile for sm_90");
    let binary = build(&toolkit, options.exact_only)?;
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
        // Where cuBLAS lies, for `fast`.
        let mut folders = vec![std::path::absolute(toolkit.root().join("lib"))?];
        let known = std::env::var_os("LD_LIBRARY_PATH").unwrap_or_default();
        folders.extend(std::env::split_paths(&known));
        command
            .env("LD_LIBRARY_PATH", std::env::join_paths(folders)?)
            .arg("--bench");
    }
    repo::run(command.args(&options.tests))
}

/// Builds the device tests with the kernels inside, into target/gpu-check.
fn build(toolkit: &Toolkit, exact_only: bool) -> anyhow::Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    let mut features = String::from("svs-engine/cuda-ptx");
    if !exact_only {
        features += ",svs-engine/cuda-fast";
        let bin = std::path::absolute(toolkit.root().join("bin"))?;
        let path = std::env::var_os("PATH").unwrap_or_default();
        let path = std::iter::once(bin).chain(std::env::split_paths(&path));
        command
            .env("PATH", std::env::join_paths(path)?)
            .envs(toolkit.variables(COMPUTE_CAP)?);
    }
    let built = command
        .args(["test", "--release", "--workspace", "--features", &features])
        .args([
            "--test",
            "devices",
            "--no-run",
            "--message-format",
            "json-render-diagnostics",
        ])
        .env("SVS_CUDA_PTX", kernels::ptx(toolkit)?)
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
