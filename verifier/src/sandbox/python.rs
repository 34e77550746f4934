//! The Python that runs programs: where it lies, and what of this machine it needs to see.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::Deserialize;

use super::SandboxFault;

/// Asks a Python about itself. Without `-I`, so that a virtual environment answers for itself.
const QUESTION: &str = "import json, sys\n\
    print(json.dumps({'executable': sys.executable, 'prefixes': [sys.prefix, sys.base_prefix, sys.exec_prefix],\n\
    'version': list(sys.version_info[:2])}))";
/// Shared libraries of the system, where they are.
const LIBRARIES: &[&str] = &[
    "/lib",
    "/lib64",
    "/usr/lib",
    "/usr/lib64",
    "/usr/local/lib",
    "/etc/ld.so.cache",
];
/// Prefixes of which only the libraries are shown, not all of their programs.
const SYSTEM: &[&str] = &["/usr", "/usr/local", "/"];
/// Most links between a name of the interpreter and the interpreter.
const MAX_LINKS: usize = 16;

/// An interpreter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Python {
    /// Its path.
    pub(super) executable: String,
    /// What it needs to see.
    pub(super) visible: Vec<PathBuf>,
}

#[derive(Deserialize)]
struct Answer {
    executable: String,
    prefixes: Vec<PathBuf>,
    version: (u32, u32),
}

impl Python {
    /// Asks `python`, an interpreter that is trusted, where it lies.
    pub(super) fn find(python: &str) -> Result<Self, SandboxFault> {
        let fault = |why: String| SandboxFault::NoPython(format!("{python}: {why}"));
        let mut command = Command::new(python);
        let asked = command.args(["-s", "-B", "-c", QUESTION]).stdin(Stdio::null()).output();
        let asked = asked.map_err(|error| fault(error.to_string()))?;
        if !asked.status.success() {
            return Err(fault(asked.status.to_string()));
        }
        let answer: Answer = serde_json::from_slice(&asked.stdout).map_err(|error| fault(error.to_string()))?;
        if answer.version < (3, 8) {
            return Err(fault("Python 3.8 or later is needed".to_owned()));
        }
        let prefixes = answer
            .prefixes
            .into_iter()
            .filter(|prefix| !SYSTEM.iter().any(|system| prefix == Path::new(system)));
        let mut visible: Vec<PathBuf> = prefixes.collect();
        visible.extend(LIBRARIES.iter().map(PathBuf::from));
        visible.extend(links(Path::new(&answer.executable)));
        visible.retain(|path| path.symlink_metadata().is_ok());
        Ok(Self {
            executable: answer.executable,
            visible,
        })
    }
}

/// A path with every link that it goes through, to the file itself.
fn links(path: &Path) -> Vec<PathBuf> {
    let mut found = vec![path.to_path_buf()];
    for _ in 0..MAX_LINKS {
        let last = found.last().cloned().unwrap_or_default();
        let Ok(target) = std::fs::read_link(&last) else {
            break;
        };
        found.push(last.parent().unwrap_or(Path::new("/")).join(target));
    }
    found.extend(path.canonicalize());
    found
}
