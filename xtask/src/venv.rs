//! A virtual environment with packages from PyPI.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::pip;

/// A Python with the packages asked for, or the reason why there is none.
pub(crate) enum Python {
    Ready(PathBuf),
    NotReached(String),
}

/// Prepares an environment in `folder` with `packages` (`name==version` each); kept between runs.
pub(crate) fn prepare(base: &Path, folder: &Path, packages: &[&str]) -> anyhow::Result<Python> {
    let python = folder.join("bin/python");
    let wanted = packages.join("\n");
    let installed = folder.join("installed.txt");
    if std::fs::read_to_string(&installed).is_ok_and(|found| found == wanted) {
        return Ok(Python::Ready(python));
    }
    std::fs::create_dir_all(folder)?;
    let made = Command::new(base).args(["-m", "venv", "--clear"]).arg(folder).output();
    match made {
        Ok(made) if made.status.success() => {}
        Ok(made) => {
            return Ok(Python::NotReached(format!(
                "python -m venv failed: {}",
                pip::last_line(&made.stderr)
            )));
        }
        Err(error) => return Ok(Python::NotReached(format!("no Python ({}): {error}", base.display()))),
    }
    let install: Vec<&OsStr> = ["install"].iter().chain(packages).map(OsStr::new).collect();
    if let pip::Ended::NotReached(why) = pip::run(&python, &install)? {
        return Ok(Python::NotReached(format!("{} from PyPI ({why})", packages.join(", "))));
    }
    std::fs::write(&installed, wanted)?;
    Ok(Python::Ready(python))
}
