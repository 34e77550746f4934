//! Rules on Rust sources.

use super::blank::blank;
use super::{Violation, violation};

/// Most lines of a source file.
const MAX_LINES: usize = 500;
/// Where `unsafe` may stand: kernels and their callers, memory maps, the system calls of the sandbox.
const UNSAFE_PLACES: &[&str] = &[
    "engine/src/ops/",
    "engine/src/model/",
    "engine/src/train/",
    "engine/src/cuda/",
    "engine/src/load/files.rs",
    "tests/hostile/calls.rs",
    "verifier/src/sandbox/launcher/calls.rs",
];
/// Words of which no name may be made.
const VAGUE: &[&str] = &["info", "manager", "helper", "helpers", "util", "utils"];

/// The broken rules of one source file.
pub(super) fn check(path: &str, text: &str) -> Vec<Violation> {
    let mut found = Vec::new();
    let lines = text.lines().count();
    if lines > MAX_LINES {
        found.push(violation(path, lines, format!("{lines} lines, at most {MAX_LINES}")));
    }
    let code = blank(text);
    let test_code = test_lines(path, &code);
    for (index, line) in code.lines().enumerate() {
        let mut add = |rule: &str| found.push(violation(path, index + 1, rule));
        let words = || {
            line.split(|c: char| !c.is_alphanumeric() && c != '_')
                .filter(|w| !w.is_empty())
        };
        for macro_name in ["todo", "unimplemented", "dbg"] {
            if line.contains(&format!("{macro_name}!")) {
                add(&format!("{macro_name}!"));
            }
        }
        if line.contains("#[ignore") {
            add("an ignored test");
        }
        if !test_code[index] && (line.contains(".unwrap()") || line.contains(".unwrap_err()")) {
            add("unwrap outside of tests: return an error, or expect(\"why it cannot fail\")");
        }
        if words().any(|w| w == "unsafe") && !UNSAFE_PLACES.iter().any(|place| path.starts_with(place)) {
            add("unsafe outside of kernels and memory maps");
        }
        if words().any(|w| w.starts_with("candle_")) && !path.starts_with("engine/") {
            add("only engine names candle");
        }
        if let Some(name) = declared(line).filter(|name| is_vague(name)) {
            add(&format!("the name `{name}` says nothing: which one of {VAGUE:?}?"));
        }
    }
    if code
        .split(|c: char| !c.is_alphanumeric() && c != '_')
        .any(|w| w == "unsafe")
        && !text.contains("SAFETY:")
        && !text.contains("# Safety")
    {
        found.push(violation(path, 1, "unsafe without a SAFETY note"));
    }
    found
}

/// For each line, whether it is test code: a test file, or inside the braces of a `#[cfg(test)]` item.
fn test_lines(path: &str, code: &str) -> Vec<bool> {
    let test_file = ["tests/", "/tests/", "benches/"]
        .iter()
        .any(|p| path.starts_with(p) || path.contains("/tests/"))
        || ["tests.rs", "testing.rs"].iter().any(|name| path.ends_with(name));
    let (mut depth, mut waiting) = (0i64, false);
    let mut lines = Vec::new();
    for line in code.lines() {
        waiting |= line.contains("#[cfg(test)]") || line.contains("#[test]");
        let inside = depth > 0 || waiting;
        if inside {
            let opened = line.matches('{').count() as i64 - line.matches('}').count() as i64;
            depth = (depth + opened).max(0);
            if line.contains('{') || line.trim_end().ends_with(';') {
                waiting = false;
            }
        }
        lines.push(test_file || inside);
    }
    lines
}

/// The name of the item that a line declares.
fn declared(line: &str) -> Option<&str> {
    let mut words = line
        .split(|c: char| !c.is_alphanumeric() && c != '_')
        .filter(|w| !w.is_empty());
    words
        .by_ref()
        .find(|w| matches!(*w, "struct" | "enum" | "trait" | "mod" | "type" | "fn"))?;
    words.next()
}

/// Whether a word of the name, in either case style, is a vague one.
fn is_vague(name: &str) -> bool {
    let mut snake = String::new();
    for c in name.chars() {
        if c.is_uppercase() {
            snake.push('_');
        }
        snake.extend(c.to_lowercase());
    }
    snake.split('_').any(|word| VAGUE.contains(&word))
}

#[test]
fn every_rule_on_sources_fires() {
    let ok = "verifier/src/a.rs";
    let cases = [
        (ok, "fn f() { x.unwrap() }", 1),
        (ok, "fn f() { x.expect(\"set above\") }", 0),
        (ok, "// x.unwrap()\nfn f() { g(\".unwrap()\") }", 0),
        ("verifier/src/tests.rs", "fn f() { x.unwrap() }", 0),
        (
            ok,
            "#[cfg(test)]\nmod t {\n    fn f() { x.unwrap() }\n}\nfn g() { y.unwrap() }",
            1,
        ),
        (ok, "#[cfg(test)]\nmod t;\nfn g() { y.unwrap() }", 1),
        (ok, "fn f() { todo!() }", 1),
        (ok, "fn f() { unimplemented!(\"later\") }", 1),
        (ok, "#[ignore = \"slow\"]\nfn f() {}", 1),
        (ok, "// SAFETY: none\nfn f() { unsafe { g() } }", 1),
        (ok, "#![deny(unsafe_code)]", 0),
        (
            "engine/src/ops/a.rs",
            "// SAFETY: in bounds\nfn f() { unsafe { g() } }",
            0,
        ),
        ("engine/src/ops/a.rs", "fn f() { unsafe { g() } }", 1),
        (ok, "use candle_core::Tensor;", 1),
        ("engine/src/load/a.rs", "use candle_core::Tensor;", 0),
        (ok, "struct ModelManager;", 1),
        (ok, "mod utils;", 1),
        (ok, "fn model_info() {}", 1),
        (ok, "fn utilisation() {}", 0),
        (ok, "struct Information;", 0),
    ];
    for (path, text, violations) in cases {
        assert_eq!(
            check(path, text).len(),
            violations,
            "{path}: {text}: {:?}",
            check(path, text)
        );
    }
    assert_eq!(check(ok, &"//\n".repeat(500)), []);
    assert_eq!(check(ok, &"//\n".repeat(501)).len(), 1);
    assert_eq!(check(ok, "\n\nfn f() { x.unwrap() }")[0].line, 3);
}
