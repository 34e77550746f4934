//! Rules on any text file: where it lies, what it must not mention, how many rows a fixture has.

use super::{Violation, violation};

/// Most rows of a fixture.
const MAX_ROWS: usize = 20;
/// Names of files and folders that say nothing about their content.
const VAGUE: &[&str] = &["info", "manager", "helper", "helpers", "util", "utils", "misc"];

/// The broken rules of one text file.
pub(super) fn check(path: &str, text: &str) -> Vec<Violation> {
    let mut found = Vec::new();
    if path
        .split('/')
        .any(|part| VAGUE.contains(&part.split('.').next().unwrap_or_default()))
    {
        found.push(violation(path, 1, "the name says nothing about the content"));
    }
    // Written apart so that this file keeps its own rule.
    let postponed = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X")];
    let machine = [
        concat!("/wo", "rk/"),
        concat!("/tm", "p/w/"),
        concat!("/tm", "p/py"),
        concat!("/ro", "ot/"),
    ];
    for (index, line) in text.lines().enumerate() {
        let words = || line.split(|c: char| !c.is_alphanumeric() && c != '_');
        if let Some(word) = postponed.iter().find(|w| words().any(|word| word == **w)) {
            found.push(violation(
                path,
                index + 1,
                format!("{word}: finish it or open an issue"),
            ));
        }
        if let Some(place) = machine.iter().find(|p| line.contains(**p)) {
            found.push(violation(path, index + 1, format!("{place}: a path of one machine")));
        }
    }
    if path.starts_with("tests/data/") {
        let rows = rows(path, text);
        if rows > MAX_ROWS {
            found.push(violation(
                path,
                1,
                format!("{rows} rows: a fixture has at most {MAX_ROWS}"),
            ));
        }
    }
    found
}

/// Rows of a fixture: lines, or the objects of a JSON array.
fn rows(path: &str, text: &str) -> usize {
    let lines = || text.lines().filter(|line| !line.trim().is_empty()).count();
    match path.rsplit('.').next() {
        Some("jsonl") => lines(),
        Some("csv") => lines().saturating_sub(1),
        Some("json") => match serde_json::from_str(text) {
            Ok(serde_json::Value::Array(items)) => items.iter().filter(|item| item.is_object()).count(),
            _ => 0,
        },
        _ => 0,
    }
}

#[test]
fn every_rule_on_places_fires() {
    let note = format!("// {}: later", concat!("TO", "DO"));
    let place = format!("see {}shared", concat!("/wo", "rk/"));
    let cases = [
        ("docs/a.md", "fine, TODOs and fixmes as words", 0),
        ("docs/a.md", note.as_str(), 1),
        ("docs/a.md", place.as_str(), 1),
        ("engine/src/utils/mod.rs", "", 1),
        ("engine/src/helpers.rs", "", 1),
        ("tests/data/a.jsonl", "{}\n\n{}\n", 0),
    ];
    for (path, text, violations) in cases {
        assert_eq!(check(path, text).len(), violations, "{path}: {text}");
    }
    assert_eq!(check("tests/data/a.jsonl", &"{}\n".repeat(21)).len(), 1);
    assert_eq!(
        check("tests/data/a.json", &format!("[{}{{}}]", "{},".repeat(20))).len(),
        1
    );
    assert_eq!(check("tests/data/a.csv", &"1,2\n".repeat(21)), []);
}
