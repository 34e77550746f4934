//! Hostile Python programs against the sandbox: none may be rewarded, and this machine must be as it was.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context;
use serde_json::{Value, json};
use svs_verifier::sandbox::{CodeMode, Sandbox, SandboxConfig, SandboxFault};
use svs_verifier::spec::GraderSpec;
use svs_verifier::{Case, Scored};

use super::{Options, Outcome};
use crate::{repo, server};

/// Programs that solve the task, as tests and as asserts see it.
const SOUND: &str =
    "def add(a, b):\n    return a + b\n\nif __name__ == \"__main__\":\n    print(add(*map(int, input().split())))\n";
/// Runs whose start-up is measured.
const RUNS: u32 = 40;

/// Grades every program of `tests/conformance/hostile`, between them one that is sound.
pub(super) fn run(options: &Options) -> anyhow::Result<Outcome> {
    let config = SandboxConfig {
        mode: CodeMode::Strict,
        python: options.python.to_string_lossy().into_owned(),
        launcher: Some(server::built(None)?),
        cpu_ms: 2_000,
        wall_ms: 5_000,
        ..SandboxConfig::default()
    };
    let sandbox = Arc::new(Sandbox::new(&config));
    let held = match sandbox.protections() {
        Ok(held) => held,
        Err(fault @ (SandboxFault::NoPython(_) | SandboxFault::Refused(_))) => {
            return Ok(Outcome::NotReached(fault.to_string()));
        }
        Err(fault) => return Err(fault.into()),
    };
    let mut programs = list()?;
    programs.sort();
    anyhow::ensure!(!programs.is_empty(), "there are no hostile programs");
    for path in &programs {
        hostile(&sandbox, path).with_context(|| path.display().to_string())?;
    }
    for asserts in [false, true] {
        // An assert's program has nothing on its standard input, not what the asserter sends.
        let alone = if asserts {
            "import sys\nassert sys.stdin.read() == \"\"\n"
        } else {
            ""
        };
        let scored = grade(&sandbox, &format!("{alone}{SOUND}"), asserts)?;
        anyhow::ensure!(scored.reward == Ok(1.0), "a sound program afterwards: {scored:?}");
    }
    let asserts = asserts(&sandbox)?;
    let [one, many] = [1, config.places()].map(|threads| start_up_ms(&sandbox, threads));
    Ok(Outcome::Passed(format!(
        "{} hostile programs, none rewarded; {asserts} asserts decided as they must be; held by {held}; {:.1} ms a run, {:.1} with {} at once",
        programs.len(),
        one?,
        many?,
        config.places(),
    )))
}

fn list() -> anyhow::Result<Vec<PathBuf>> {
    let folder = repo::root().join("tests/conformance/hostile");
    let entries = std::fs::read_dir(&folder).with_context(|| folder.display().to_string())?;
    Ok(entries
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?)
}

/// Grades a program that must get nothing, by one of the rules that its head names.
fn hostile(sandbox: &Arc<Sandbox>, path: &Path) -> anyhow::Result<()> {
    let text = std::fs::read_to_string(path)?;
    let rules = text.lines().find_map(|line| line.strip_prefix("# rule: "));
    let rules = rules.context("its head names no rule")?;
    let scored = grade(sandbox, &text, text.starts_with("# asserts"))?;
    anyhow::ensure!(scored.reward == Ok(0.0), "{scored:?}");
    anyhow::ensure!(
        rules.split(' ').any(|rule| rule == scored.rule),
        "by `{}`, not by `{rules}`",
        scored.rule
    );
    Ok(())
}

fn grade(sandbox: &Arc<Sandbox>, program: &str, asserts: bool) -> anyhow::Result<Scored> {
    let checks = if asserts {
        json!({"type": "code", "name": "add", "entry": ["add"], "asserts": ["assert add(3, 4) == 7"]})
    } else {
        json!({"type": "code", "name": "add", "tests": [{"stdin": "3 4\n", "stdout": "7\n"}]})
    };
    let grader = serde_json::from_value::<GraderSpec>(checks)?.build_alone(sandbox)?;
    let response = format!("```python\n{program}\n```\n");
    Ok(grader.grade(&Case::new(&response, &Value::Null)))
}

/// Grades each line of `tests/conformance/asserts.jsonl`, by the rule that it names.
fn asserts(sandbox: &Arc<Sandbox>) -> anyhow::Result<usize> {
    let path = repo::root().join("tests/conformance/asserts.jsonl");
    let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    for line in text.lines() {
        let row: Row = serde_json::from_str(line)?;
        let spec = json!({"type": "code", "name": "f", "entry": ["f"], "asserts": row.asserts});
        let grader = serde_json::from_value::<GraderSpec>(spec)?.build_alone(sandbox)?;
        let response = format!("```python\n{}\n```\n", row.program);
        let scored = grader.grade(&Case::new(&response, &Value::Null));
        let reward = f64::from(row.rule == "tests_passed");
        let decided = match row.rule.as_str() {
            "fault" => scored.reward.is_err(),
            rule => scored.reward == Ok(reward) && scored.rule == rule,
        };
        anyhow::ensure!(decided, "{}: {scored:?}, not `{}`", row.name, row.rule);
    }
    Ok(text.lines().count())
}

/// A program and asserts about it.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    name: String,
    rule: String,
    program: String,
    asserts: Vec<String>,
}

/// Milliseconds from one end of a run of an empty program to the next.
fn start_up_ms(sandbox: &Sandbox, threads: usize) -> anyhow::Result<f64> {
    let program = sandbox.python(vec![("main.py".to_owned(), String::new())], String::new())?;
    let limits = sandbox.config().limits();
    let began = Instant::now();
    std::thread::scope(|scope| {
        let runs = || (0..RUNS).try_for_each(|_| sandbox.run(&program, &limits).map(drop));
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(runs)).collect();
        running
            .into_iter()
            .try_for_each(|one| one.join().unwrap_or(Err(SandboxFault::Off)))
    })?;
    let runs = f64::from(RUNS) * threads as f64;
    Ok(began.elapsed().as_secs_f64() * 1000.0 / runs)
}
