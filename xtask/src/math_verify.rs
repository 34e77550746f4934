//! `cargo xtask math-verify`: grades the same cases with the mathematics verifier and with Math-Verify from PyPI, on one
//! core each, in one run: how fast, and how often as the cases say.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use rustix::time::{ClockId, clock_gettime};
use serde::Deserialize;
use svs_verifier::{MathOptions, Verdict, grade_math};

use crate::{repo, venv};

/// What is installed.
const PACKAGES: [&str; 2] = ["math-verify==0.9.0", "antlr4-python3-runtime==4.13.2"];

/// Options of `math-verify`.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Cases by line: `gold`, `prediction`, and if known `expect` (true or false) [default: generated ones].
    #[arg(long, value_name = "FILE.jsonl")]
    cases: Option<PathBuf>,
    /// Generated cases.
    #[arg(long, value_name = "N", default_value_t = 1000, conflicts_with = "cases")]
    count: usize,
    /// Seed of the generated cases.
    #[arg(long, default_value_t = 0, conflicts_with = "cases")]
    seed: u64,
    /// Do not run Math-Verify.
    #[arg(long)]
    alone: bool,
    /// The Python that makes the environment.
    #[arg(long, default_value = "python3")]
    python: PathBuf,
}

#[derive(Debug, Deserialize)]
struct Case {
    gold: String,
    prediction: String,
    expect: Option<bool>,
}

/// What one grader says of one case.
#[derive(Debug, Clone, Copy, Deserialize)]
struct Graded {
    correct: bool,
    /// Processor time.
    micros: u64,
}

pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let folder = repo::target().join("math-verify");
    fs::create_dir_all(&folder)?;
    let path = match &options.cases {
        Some(path) => path.clone(),
        None => generated(options, &folder)?,
    };
    let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let cases = text
        .lines()
        .map(serde_json::from_str)
        .collect::<Result<Vec<Case>, _>>()
        .with_context(|| path.display().to_string())?;
    ensure!(!cases.is_empty(), "{}: there are no cases", path.display());
    let ours = cases.iter().map(grade).collect::<anyhow::Result<Vec<_>>>()?;
    report("svs", &cases, &ours);
    if options.alone {
        return Ok(());
    }
    let python = match venv::prepare(&options.python, &folder.join("venv"), &PACKAGES)? {
        venv::Python::Ready(python) => python,
        venv::Python::NotReached(why) => bail!("not reached: {why}"),
    };
    let theirs = of_math_verify(&python, &path, cases.len())?;
    report("Math-Verify", &cases, &theirs);
    println!(
        "svs grades {:.0} times as many cases per CPU-second",
        per_second(&ours) / per_second(&theirs)
    );
    Ok(())
}

/// Writes cases made from the seed.
fn generated(options: &Options, folder: &Path) -> anyhow::Result<PathBuf> {
    let made = Command::new(&options.python)
        .arg(repo::root().join("tests/conformance/math_cases.py"))
        .args([options.seed.to_string(), options.count.to_string()])
        .output()
        .context("cannot start Python")?;
    ensure!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let path = folder.join("cases.jsonl");
    fs::write(&path, made.stdout)?;
    Ok(path)
}

fn grade(case: &Case) -> anyhow::Result<Graded> {
    let spent = || Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).context("the clock of this thread");
    let (options, began) = (MathOptions::default(), spent()?);
    let verdict = grade_math(&case.prediction, &case.gold, &options).verdict;
    let micros = (spent()? - began).as_micros();
    Ok(Graded {
        correct: verdict == Verdict::Correct,
        micros: u64::try_from(micros)?,
    })
}

fn of_math_verify(python: &Path, cases: &Path, count: usize) -> anyhow::Result<Vec<Graded>> {
    let began = Instant::now();
    let graded = Command::new(python)
        .arg(repo::root().join("tests/conformance/math_peer.py"))
        .arg(cases)
        .output()?;
    ensure!(graded.status.success(), "{}", String::from_utf8_lossy(&graded.stderr));
    let lines = String::from_utf8(graded.stdout)?;
    let graded = lines
        .lines()
        .map(serde_json::from_str)
        .collect::<Result<Vec<Graded>, _>>()?;
    ensure!(
        graded.len() == count,
        "Math-Verify graded {} of {count} cases",
        graded.len()
    );
    println!("Math-Verify took {:.0} s", began.elapsed().as_secs_f64());
    Ok(graded)
}

/// Cases per second of processor time.
fn per_second(graded: &[Graded]) -> f64 {
    let micros: u64 = graded.iter().map(|one| one.micros).sum();
    graded.len() as f64 / (micros.max(1) as f64 / 1e6)
}

fn report(name: &str, cases: &[Case], graded: &[Graded]) {
    let mut micros: Vec<u64> = graded.iter().map(|one| one.micros).collect();
    micros.sort_unstable();
    let at = |share: f64| micros[((micros.len() - 1) as f64 * share) as usize] as f64 / 1000.0;
    let pairs = || {
        cases
            .iter()
            .zip(graded)
            .filter_map(|(case, one)| Some((case.expect?, one.correct)))
    };
    let known = pairs().count();
    let agreed = pairs().filter(|(expect, correct)| expect == correct).count();
    let accepted = pairs().filter(|(expect, correct)| !expect && *correct).count();
    println!(
        "{name}: {} cases, {:.0} per CPU-second, p50 {:.3} ms, p99 {:.3} ms, most {:.3} ms; as expected {agreed} of {known} \
         ({:.2} %), wrong ones accepted {accepted}",
        cases.len(),
        per_second(graded),
        at(0.5),
        at(0.99),
        at(1.0),
        100.0 * agreed as f64 / known.max(1) as f64,
    );
}
