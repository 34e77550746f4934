//! A virtual environment with the packages a step needs.

use std::path::Path;
use std::process::{Command, Stdio};

use super::Options;
pub(super) use crate::venv::Python;
use crate::{repo, venv};

/// The environment `name` with `packages` (`name==version` each), or the Python that `--no-venv` asks for.
pub(super) fn prepare(options: &Options, name: &str, packages: &[&str]) -> anyhow::Result<Python> {
    if options.no_venv {
        return Ok(Python::Ready(options.python.clone()));
    }
    venv::prepare(
        &options.python,
        &repo::target().join("conformance").join(name),
        packages,
    )
}

/// Runs a script of `tests/conformance` to its end.
pub(super) fn run_script(python: &Path, script: &str, arguments: &[&std::ffi::OsStr]) -> anyhow::Result<()> {
    let path = repo::root().join("tests/conformance").join(script);
    anyhow::ensure!(path.is_file(), "{} is missing", path.display());
    let mut command = Command::new(python);
    // The comparison is with the CPU's arithmetic; progress bars only hide messages.
    command
        .env("CUDA_VISIBLE_DEVICES", "")
        .env("HF_HUB_DISABLE_PROGRESS_BARS", "1")
        .env("HF_HUB_OFFLINE", "1");
    repo::run(command.arg(path).args(arguments).stdin(Stdio::null()))
}
