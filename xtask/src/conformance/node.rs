//! The official `openai` client for Node against a served embedded policy.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::{Outcome, openai};
use crate::repo;

const SCRIPT: &str = "tests/conformance/openai_client.mjs";
const PACKAGE: &str = "openai@6";

/// Builds the server and lets `tests/conformance/openai_client.mjs` start it and talk to it.
pub(super) fn run() -> anyhow::Result<Outcome> {
    let modules = match install()? {
        Ok(modules) => modules,
        Err(why) => return Ok(Outcome::NotReached(why)),
    };
    let svs = openai::build()?;
    let mut node = Command::new("node");
    node.arg(repo::root().join(SCRIPT)).arg("--svs").arg(svs);
    repo::run(node.arg("--modules").arg(modules).stdin(Stdio::null()))?;
    Ok(Outcome::Passed(SCRIPT.into()))
}

/// The folder with the client, installed where it is not there; or why there is none.
fn install() -> anyhow::Result<Result<PathBuf, String>> {
    let folder = repo::target().join("conformance/node");
    let installed = folder.join("installed.txt");
    if std::fs::read_to_string(&installed).is_ok_and(|found| found == PACKAGE) {
        return Ok(Ok(folder));
    }
    std::fs::create_dir_all(&folder)?;
    // Nothing of a package runs while it is installed.
    let arguments = ["install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix"];
    let mut npm = Command::new("npm");
    match npm
        .args(arguments)
        .arg(&folder)
        .arg(PACKAGE)
        .stdin(Stdio::null())
        .output()
    {
        Ok(done) if done.status.success() => {
            std::fs::write(&installed, PACKAGE)?;
            Ok(Ok(folder))
        }
        Ok(failed) => {
            let said = String::from_utf8_lossy(&failed.stderr);
            let last = said.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default();
            Ok(Err(format!("{PACKAGE} from npm ({last})")))
        }
        Err(error) => Ok(Err(format!("no npm: {error}"))),
    }
}
