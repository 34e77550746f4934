//! `cargo xtask openapi`: rewrites openapi/openapi.json from the handlers.

use std::process::Command;

use anyhow::{Context, bail};

use crate::repo;

/// Runs the task.
pub(crate) fn run() -> anyhow::Result<()> {
    // The document is printed by the binary itself, so that xtask need not build the whole server to do anything else.
    let mut command = Command::new("cargo");
    command
        .current_dir(repo::root())
        .args(["run", "--release", "--quiet", "--package", "svs", "--", "openapi"]);
    let output = command.output().context("cannot start cargo")?;
    if !output.status.success() {
        bail!("`svs openapi` failed: {}", String::from_utf8_lossy(&output.stderr));
    }
    let path = repo::root().join("openapi/openapi.json");
    std::fs::write(&path, output.stdout).with_context(|| format!("cannot write {}", path.display()))?;
    println!("wrote {}", path.display());
    Ok(())
}
