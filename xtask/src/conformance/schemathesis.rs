//! Schemathesis over all of openapi.json: whatever it makes of the document, no answer is a 5xx, and each has a status, a
//! content type and a body that the document tells.

use std::ffi::OsStr;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};

use super::{Options, Outcome, python, scratch};
use crate::repo;
use crate::server::{Server, built};

const PACKAGE: &str = "schemathesis==4.32.5";
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,\
                      response_schema_conformance";
/// Random requests to each endpoint, beside those that go through the boundaries of the document.
const EXAMPLES: &str = "8";
const SEED: &str = "1";
/// Longest time of a request, seconds; more than the server's own bounds.
const REQUEST_SECONDS: &str = "60";
/// A run may be started and then asked for: its steps are small, and nobody waits for one for long.
const CONFIG: &str = "[server]\ntrain_task_timeout_seconds = 50\n\n[train]\nrecipe = \"grpo\"\n\n[train.problems]\ntrain_batch_size = 2\n\n\
                      [train.rollout]\nn = 2\nmax_response_length = 16\n";
/// What the server may read for requests that name a folder.
const FOLDERS: [&str; 6] = [
    "--lora-dir",
    "adapters",
    "--weights-dir",
    "checkpoints",
    "--problems-dir",
    ".",
];

/// Part of the document, on a server of its own.
struct Part {
    name: &'static str,
    filter: [&'static str; 2],
    /// Bound of the run. Random requests go on until it is reached.
    seconds: &'static str,
}

/// Nothing in the API stops the server or unloads the model. A pause holds generation back until somebody ends it, which would
/// only make requests wait; so the routes that pause are tried apart from those that generate.
const PARTS: [Part; 2] = [
    Part {
        name: "all but pauses",
        filter: ["--exclude-path-regex", PAUSES],
        seconds: "75",
    },
    Part {
        name: "pauses",
        filter: ["--include-path-regex", PAUSES],
        seconds: "10",
    },
];
const PAUSES: &str = "^/(pause|pause_generation|resume|continue_generation|is_paused|sleep|wake_up|is_sleeping\
                      |release_memory_occupation|resume_memory_occupation)$";

pub(super) fn run(options: &Options) -> anyhow::Result<Outcome> {
    let python = match python::prepare(options, "schemathesis", &[PACKAGE])? {
        python::Python::Ready(python) => python,
        python::Python::NotReached(what) => return Ok(Outcome::NotReached(what)),
    };
    let binary = built(None)?;
    let folder = scratch::folder()?;
    let mut config = tempfile::NamedTempFile::with_suffix(".toml")?;
    config.write_all(CONFIG.as_bytes())?;
    let any_name = ["--served-model-name", "*", "--config"].map(OsStr::new);
    let arguments: Vec<&OsStr> = any_name
        .into_iter()
        .chain([config.path().as_os_str()])
        .chain(FOLDERS.map(OsStr::new))
        .collect();
    let mut counts = Vec::new();
    for part in &PARTS {
        let mut server = Server::start_in(folder.path(), &binary, &arguments)?;
        let said = try_part(&python, part, server.url()).with_context(|| part.name)?;
        ensure!(server.stop()?, "{}: the server did not stop when asked", part.name);
        counts.push(format!("{}: {said}", part.name));
    }
    Ok(Outcome::Passed(counts.join("; ")))
}

/// Runs it; the line in which Schemathesis counts its requests.
fn try_part(python: &Path, part: &Part, url: &str) -> anyhow::Result<String> {
    let document = repo::root().join("openapi/openapi.json");
    let mut command = Command::new(python);
    command
        .args(["-m", "schemathesis.cli", "run"])
        .arg(document)
        .args(["--url", url, "--checks", CHECKS]);
    command
        .args(part.filter)
        .args(["--max-time", part.seconds, "--max-examples", EXAMPLES, "--seed", SEED]);
    command.args([
        "--phases",
        "examples,coverage,fuzzing",
        "--continue-on-failure",
        "--no-color",
        "--warnings",
        "off",
    ]);
    // About its own generators, which have to avoid slashes in ids and take their time on a busy machine.
    command.args(["--suppress-health-check", "filter_too_much,too_slow"]);
    command
        .args(["--request-timeout", REQUEST_SECONDS])
        .stdin(Stdio::null());
    // It writes a folder of its own where it stands.
    let output = command.current_dir(repo::target().join("conformance")).output()?;
    let said = String::from_utf8_lossy(&output.stdout);
    let complaint = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{}\n{said}{complaint}", output.status);
    let counts = said.lines().find(|line| line.contains("generated"));
    Ok(counts
        .with_context(|| format!("it counted nothing:\n{said}"))?
        .trim()
        .to_owned())
}
