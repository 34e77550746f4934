//! Rules on TOML files: all parse, and the dependency arrows between our crates point downward.

use toml::Table;

use super::{Violation, violation};

/// Which of our crates each may depend on. `svs` is the server.
const ARROWS: &[(&str, &[&str])] = &[
    ("verifier", &[]),
    ("verifier/fuzz", &["svs-verifier"]),
    ("openapi", &["svs-verifier"]),
    ("engine", &[]),
    ("trainer", &["svs-engine", "svs-verifier"]),
    ("server", &["svs-engine", "svs-openapi", "svs-trainer", "svs-verifier"]),
    (
        "tests",
        &["svs", "svs-engine", "svs-openapi", "svs-trainer", "svs-verifier"],
    ),
    (
        "benches",
        &["svs", "svs-engine", "svs-openapi", "svs-trainer", "svs-verifier"],
    ),
    (
        "xtask",
        &["svs", "svs-engine", "svs-openapi", "svs-trainer", "svs-verifier"],
    ),
];

/// Crates that only one of ours may name.
const RESERVED: &[(&str, &str)] = &[
    ("candle", "engine"),
    ("cudarc", "engine"),
    ("mistralrs", "engine"),
    ("axum", "server"),
    ("rusqlite", "trainer"),
];

/// Crates that a pure grader does without: tensors, async, network, clocks.
const NOT_IN_VERIFIER: &[&str] = &["tokio", "reqwest", "ureq", "hyper", "half", "rayon", "chrono", "rand"];

/// The broken rules of one TOML file.
pub(super) fn check(path: &str, text: &str) -> Vec<Violation> {
    let table: Table = match text.parse() {
        Ok(table) => table,
        Err(error) => {
            let line = error.span().map_or(1, |span| text[..span.start].lines().count().max(1));
            return vec![violation(path, line, format!("not TOML: {}", error.message()))];
        }
    };
    let Some(folder) = path.strip_suffix("/Cargo.toml") else {
        return Vec::new();
    };
    let Some((_, allowed)) = ARROWS.iter().find(|(name, _)| *name == folder) else {
        return vec![violation(
            path,
            1,
            format!("`{folder}` is no crate of the architecture"),
        )];
    };
    let mut found = Vec::new();
    for (section, name) in dependencies(&table) {
        let mut add = |rule: String| {
            let line = text
                .lines()
                .position(|l| l.starts_with(name))
                .map_or(1, |index| index + 1);
            found.push(violation(path, line, rule));
        };
        let ours = name == "svs" || name.starts_with("svs-");
        if ours && !allowed.contains(&name) {
            add(format!(
                "`{folder}` may not depend on `{name}`: arrows point only downward"
            ));
        }
        let owner = RESERVED.iter().find(|(prefix, _)| name.starts_with(prefix));
        if let Some((_, owner)) = owner.filter(|(_, owner)| *owner != folder && section == "dependencies") {
            add(format!("only `{owner}` names `{name}`"));
        }
        if folder == "verifier" && NOT_IN_VERIFIER.contains(&name) {
            add(format!("a pure grader does without `{name}`"));
        }
    }
    found
}

/// Names of all dependencies with the section they stand in, those of targets too.
fn dependencies(table: &Table) -> Vec<(&'static str, &str)> {
    let mut found = Vec::new();
    let targets = table
        .get("target")
        .and_then(|t| t.as_table())
        .into_iter()
        .flat_map(|t| t.values());
    for table in std::iter::once(table).chain(targets.filter_map(|t| t.as_table())) {
        for section in ["dependencies", "dev-dependencies", "build-dependencies"] {
            let names = table
                .get(section)
                .and_then(|d| d.as_table())
                .into_iter()
                .flat_map(|d| d.keys());
            found.extend(names.map(|name| (section, name.as_str())));
        }
    }
    found
}

#[test]
fn every_rule_on_manifests_fires() {
    let cases = [
        ("a.toml", "a = 1", 0),
        ("a.toml", "a = ", 1),
        ("verifier/Cargo.toml", "[dependencies]\nserde.workspace = true", 0),
        ("verifier/Cargo.toml", "[dependencies]\ntokio.workspace = true", 1),
        (
            "verifier/Cargo.toml",
            "[dev-dependencies]\nsvs-engine.workspace = true",
            1,
        ),
        ("engine/Cargo.toml", "[dependencies]\nsvs-trainer.workspace = true", 1),
        ("engine/Cargo.toml", "[dependencies]\ncandle-core.workspace = true", 0),
        ("trainer/Cargo.toml", "[dependencies]\ncandle-core.workspace = true", 1),
        (
            "trainer/Cargo.toml",
            "[target.'cfg(unix)'.dependencies]\nsvs-openapi.workspace = true",
            1,
        ),
        (
            "server/Cargo.toml",
            "[dependencies]\nsvs-trainer.workspace = true\naxum.workspace = true",
            0,
        ),
        ("common/Cargo.toml", "[dependencies]", 1),
    ];
    for (path, text, violations) in cases {
        assert_eq!(check(path, text).len(), violations, "{path}: {text}");
    }
    assert_eq!(
        check("verifier/Cargo.toml", "[dependencies]\n\ntokio = \"1\"")[0].line,
        3
    );
}
