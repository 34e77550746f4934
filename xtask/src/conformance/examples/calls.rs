//! Runs the commands of an example in a shell whose `curl` is the real one, except that it notes each call and reaches the
//! server under test at the address that the documents name.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};
use serde_json::Value;

/// What the documents call the server.
const PRINTED: [&str; 2] = ["127.0.0.1:8000", "localhost:8000"];
/// Longest time of a call.
const MAX_SECONDS: u32 = 300;
const CURL: &str = r#"#!/bin/sh
call="$SVS_CALLS/$(ls "$SVS_CALLS" | wc -l)"
mkdir "$call" || exit 1
"$SVS_CURL" $SVS_CURL_OPTIONS --write-out '%{stderr}%{json}' "$@" >"$call/body" 2>"$call/numbers"
ended=$?
cat "$call/body"
exit $ended
"#;

/// One request and its answer.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) method: String,
    /// Without the query.
    pub(super) path: String,
    pub(super) status: u64,
    pub(super) body: String,
}

/// A shell for one example.
pub(super) struct Shell<'a> {
    curl: &'a Path,
    options: String,
    working: &'a Path,
    folder: tempfile::TempDir,
}

impl<'a> Shell<'a> {
    /// A shell in the folder `working` whose calls go to the server at `url`.
    pub(super) fn new(curl: &'a Path, url: &str, working: &'a Path) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        for name in ["bin", "calls"] {
            std::fs::create_dir(folder.path().join(name))?;
        }
        let wrapper = folder.path().join("bin/curl");
        std::fs::write(&wrapper, CURL)?;
        std::fs::set_permissions(&wrapper, std::fs::Permissions::from_mode(0o755))?;
        let address = url.trim_start_matches("http://");
        let reach = PRINTED.map(|printed| format!("--connect-to {printed}:{address}"));
        let options = format!("--silent --show-error --max-time {MAX_SECONDS} {}", reach.join(" "));
        Ok(Self {
            curl,
            options,
            working,
            folder,
        })
    }

    /// Runs `script` and returns its calls in order.
    pub(super) fn run(&self, script: &str) -> anyhow::Result<Vec<Call>> {
        let (own, calls) = (self.folder.path().join("bin"), self.folder.path().join("calls"));
        let path = std::env::var_os("PATH").unwrap_or_default();
        let path = std::env::join_paths(std::iter::once(own).chain(std::env::split_paths(&path)))?;
        let output = Command::new("sh")
            .args(["-eu", "-c", script])
            .current_dir(self.working)
            .env("PATH", path)
            .env("SVS_CALLS", &calls)
            .env("SVS_CURL", self.curl)
            .env("SVS_CURL_OPTIONS", &self.options)
            .stdin(Stdio::null())
            .output()?;
        let made = std::fs::read_dir(&calls)?.count();
        let read = (0..made).map(|number| call(&calls.join(number.to_string())));
        let read = read.collect::<anyhow::Result<Vec<Call>>>()?;
        let said = String::from_utf8_lossy(&output.stderr);
        let last = read.last().map_or("", |call| call.body.as_str());
        ensure!(output.status.success(), "{}: {said}{last}", output.status);
        Ok(read)
    }
}

fn call(folder: &Path) -> anyhow::Result<Call> {
    let body = String::from_utf8_lossy(&std::fs::read(folder.join("body"))?).into_owned();
    let numbers = std::fs::read_to_string(folder.join("numbers"))?;
    // What curl complains about stands before them.
    let numbers: Value = numbers
        .find('{')
        .and_then(|at| serde_json::from_str(&numbers[at..]).ok())
        .with_context(|| format!("curl: {numbers}"))?;
    let url = numbers["url_effective"].as_str().context("no URL")?;
    let path = url
        .split_once("://")
        .and_then(|(_, rest)| rest.find('/').map(|at| &rest[at..]));
    let path = path.unwrap_or("/").split('?').next().unwrap_or_default();
    Ok(Call {
        method: numbers["method"].as_str().context("no method")?.to_owned(),
        path: path.to_owned(),
        status: numbers["http_code"].as_u64().context("no status")?,
        body,
    })
}
