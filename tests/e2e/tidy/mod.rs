//! The house rules that the compiler does not know, checked over the whole repository.
//!
//! Every rule is a function from a path and its text to violations, so that each is shown to fire on a sample.

mod blank;
mod manifests;
mod places;
mod sources;

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

/// Folders that are no part of the repository.
const SKIPPED: &[&str] = &["target", ".git", "runs", ".venv", "__pycache__"];
/// Largest file outside of `assets/`, bytes.
const MAX_FILE_BYTES: u64 = 2 << 20;

/// A broken rule and where.
#[derive(Debug, PartialEq, Eq)]
struct Violation {
    path: String,
    line: usize,
    rule: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.rule)
    }
}

fn violation(path: &str, line: usize, rule: impl Into<String>) -> Violation {
    Violation {
        path: path.to_owned(),
        line,
        rule: rule.into(),
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}

/// Every file below `folder`, with its path from the root, `/` between names.
fn files(root: &Path, folder: &Path, found: &mut Vec<(String, PathBuf)>) {
    let mut entries: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap()).collect();
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
        let kind = entry.file_type().unwrap();
        if kind.is_dir() && !SKIPPED.contains(&name.as_str()) {
            files(root, &path, found);
        } else if kind.is_file() && name != ".git" {
            let parts = path
                .strip_prefix(root)
                .unwrap()
                .iter()
                .map(|part| part.to_string_lossy());
            found.push((parts.collect::<Vec<_>>().join("/"), path));
        }
    }
}

#[test]
fn the_repository_keeps_its_rules() {
    let root = root();
    let mut found = Vec::new();
    files(&root, &root, &mut found);
    assert!(found.len() > 100, "the walk found only {} files", found.len());
    let mut violations = Vec::new();
    for (path, file) in &found {
        let bytes = fs::metadata(file).unwrap().len();
        if bytes > MAX_FILE_BYTES && !path.starts_with("assets/") {
            violations.push(violation(
                path,
                1,
                format!("{bytes} bytes: only assets/ holds files above 2 MiB"),
            ));
            continue;
        }
        let Ok(text) = String::from_utf8(fs::read(file).unwrap()) else {
            continue;
        };
        violations.extend(places::check(path, &text));
        if path.ends_with(".rs") {
            violations.extend(sources::check(path, &text));
        }
        if path.ends_with(".toml") {
            violations.extend(manifests::check(path, &text));
        }
    }
    let listed: Vec<String> = violations.iter().map(Violation::to_string).collect();
    assert!(listed.is_empty(), "{} violations\n{}", listed.len(), listed.join("\n"));
}
