//! `cargo xtask fuzz`: coverage-guided fuzzing of the mathematics verifier. Not in CI: it runs for as long as it is told to.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::Context;

use crate::repo;

/// What makes the compiler count the edges that an input reaches, without a sanitizer, so that the stable compiler will do.
const COVERAGE: &[&str] = &[
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Ccodegen-units=1",
    "--cfg=fuzzing",
];

/// Options of `fuzz`.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Seconds to run.
    #[arg(long, default_value_t = 1800)]
    seconds: u64,
    /// Longest input in bytes.
    #[arg(long, default_value_t = 2048)]
    max_len: u32,
    /// Seconds after which one input counts as a hang; many, for a machine that is busy otherwise.
    #[arg(long, default_value_t = 30)]
    timeout: u32,
}

pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let folder = repo::root().join("verifier/fuzz");
    let target = repo::target().join("fuzz");
    let binary = build(&folder, &target)?;
    let (corpus, findings) = (target.join("corpus"), target.join("findings"));
    fs::create_dir_all(&corpus)?;
    fs::create_dir_all(&findings)?;
    repo::run(
        Command::new(binary)
            .arg(&corpus)
            .arg(folder.join("corpus"))
            .arg(format!("-dict={}", folder.join("mathematics.dict").display()))
            .arg(format!("-artifact_prefix={}/", findings.display()))
            .arg(format!("-max_total_time={}", options.seconds))
            .arg(format!("-max_len={}", options.max_len))
            .arg(format!("-timeout={}", options.timeout))
            .args(["-rss_limit_mb=2048", "-print_final_stats=1"]),
    )
    .with_context(|| format!("a finding lies in {}", findings.display()))
}

/// Builds the target with coverage. Naming the platform keeps the flags away from build scripts.
fn build(folder: &std::path::Path, target: &std::path::Path) -> anyhow::Result<PathBuf> {
    let rustc = Command::new("rustc")
        .arg("-vV")
        .output()
        .context("cannot start rustc")?;
    let version = String::from_utf8_lossy(&rustc.stdout).into_owned();
    let host = version
        .lines()
        .find_map(|line| line.strip_prefix("host: "))
        .context("rustc does not say its host")?;
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    repo::run(
        Command::new(cargo)
            .args(["build", "--release", "--bin", "grade", "--target", host])
            .current_dir(folder)
            .env("CARGO_TARGET_DIR", target)
            .env("CARGO_ENCODED_RUSTFLAGS", COVERAGE.join("\u{1f}")),
    )?;
    Ok(target.join(host).join("release/grade"))
}
