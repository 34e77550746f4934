//! A virtual environment with the packages a step needs.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::Options;
use crate::{pip, repo};

/// A Python with the packages asked for, or the reason why there is none.
pub(super) enum Python {
    Ready(PathBuf),
    NotReached(String),
}

/// Prepares the environment `name` with `packages` (`name==version` each); kept between runs.
pub(super) fn prepare(options: &Options, name: &str, packages: &[&str]) -> anyhow::Result<Python> {
    if options.no_venv {
        return Ok(Python::Ready(options.python.clone()));
    }
    let folder = repo::target().join("conformance").join(name);
    let python = folder.join("bin/python");
    let wanted = packages.join("\n");
    let installed = folder.join("installed.txt");
    if std::fs::read_to_string(&installed).is_ok_and(|found| found == wanted) {
        return Ok(Python::Ready(python));
    }
    std::fs::create_dir_all(&folder)?;
    let made = Command::new(&options.python)
        .args(["-m", "venv", "--clear"])
        .arg(&folder)
        .output();
    match made {
        Ok(made) if made.status.success() => {}
        Ok(made) => {
            return Ok(Python::NotReached(format!(
                "python -m venv failed: {}",
                pip::last_line(&made.stderr)
            )));
        }
        Err(error) => {
            return Ok(Python::NotReached(format!(
                "no Python ({}): {error}",
                options.python.display()
            )));
        }
    }
    let install: Vec<&std::ffi::OsStr> = ["install"].iter().chain(packages).map(std::ffi::OsStr::new).collect();
    if let pip::Ended::NotReached(why) = pip::run(&python, &install)? {
        return Ok(Python::NotReached(format!("{} from PyPI ({why})", packages.join(", "))));
    }
    std::fs::write(&installed, wanted)?;
    Ok(Python::Ready(python))
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
