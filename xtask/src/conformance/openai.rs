//! The official `openai` Python client against a served embedded policy, and raw answers against the client's types.

use std::path::PathBuf;
use std::process::Command;

use super::{Options, Outcome, python};
use crate::repo;

const SCRIPTS: [&str; 2] = ["openai_client.py", "openai_schema.py"];

/// Builds the server and lets each script of `tests/conformance` start it and talk to it.
pub(super) fn run(options: &Options) -> anyhow::Result<Outcome> {
    let python = match python::prepare(options, "openai", &["openai>=2"])? {
        python::Python::Ready(python) => python,
        python::Python::NotReached(what) => return Ok(Outcome::NotReached(what)),
    };
    let svs = build()?;
    for script in SCRIPTS {
        python::run_script(&python, script, &["--svs".as_ref(), svs.as_os_str()])?;
    }
    Ok(Outcome::Passed(SCRIPTS.join(", ")))
}

/// Builds the server; where it is.
pub(super) fn build() -> anyhow::Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let build = ["build", "--release", "--quiet", "--workspace"];
    repo::run(Command::new(cargo).current_dir(repo::root()).args(build))?;
    Ok(repo::target().join("release/svs"))
}
