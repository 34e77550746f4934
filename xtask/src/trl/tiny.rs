//! Copying a digit, learned from random weights by both sides: speed of a step where arithmetic is little, and how many
//! steps the reward takes.

use std::fmt::Write;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, ensure};
use serde_json::Value;

use super::{figures, median};
use crate::repo;

/// Least ratio of steps per second.
const FLOOR: f64 = 3.0;
/// The reward that counts as learned, as a mean over so many steps.
const LEARNED: (f64, usize) = (0.95, 3);

/// What one side did with one seed.
struct Learned {
    /// Median seconds of a step, the first ones left out.
    step_s: f64,
    /// Steps to the reward; `None` if it never came.
    steps: Option<usize>,
}

impl Learned {
    fn of(steps: &[(f64, f64)]) -> anyhow::Result<Self> {
        ensure!(steps.len() > 10, "too few steps to measure");
        let rewards: Vec<f64> = steps.iter().map(|(_, reward)| *reward).collect();
        let (least, window) = LEARNED;
        let reached = |mean: &[f64]| mean.iter().sum::<f64>() / window as f64 >= least;
        Ok(Self {
            step_s: median(steps[5..].iter().map(|(seconds, _)| *seconds).collect()),
            steps: rewards.windows(window).position(reached).map(|first| first + window),
        })
    }
}

/// Both sides in turns, a seed after the other; prints a row for each and the medians.
///
/// # Errors
/// A side that cannot be run.
pub(super) fn run(svs: &Path, python: &Path, seeds: u64, steps: usize) -> anyhow::Result<()> {
    let script = repo::root().join("benches/trl/copy_digit.py");
    println!(
        "| seed | svs, ms a step | TRL, ms a step | ratio | svs, steps to reward {} | TRL |\n|---|---|---|---|---|---|",
        LEARNED.0
    );
    let (mut ratios, mut reached) = (Vec::new(), [Vec::new(), Vec::new()]);
    for seed in 0..seeds {
        let folder = repo::target().join(format!("peers/trl/copy-digit-{seed}"));
        let theirs = |more: &[&str]| {
            let mut command = Command::new(python);
            command
                .arg(&script)
                .args(["--seed", &seed.to_string(), "--folder"])
                .arg(&folder)
                .args(more);
            command
        };
        let made = theirs(&["--make"]).output().context("cannot start Python")?;
        ensure!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let ours = ours(svs, &folder, seed, steps)?;
        let told = figures(&mut theirs(&["--steps", &steps.to_string()]))?;
        let read = |line: &Value| Some((line["step_seconds"].as_f64()?, line["reward"].as_f64()?));
        let theirs = Learned::of(&told.iter().filter_map(read).collect::<Vec<_>>())?;
        ratios.push(theirs.step_s / ours.step_s);
        println!(
            "| {seed} | {:.1} | {:.1} | {:.2} | {} | {} |",
            1e3 * ours.step_s,
            1e3 * theirs.step_s,
            theirs.step_s / ours.step_s,
            said(ours.steps),
            said(theirs.steps)
        );
        for (side, learned) in reached.iter_mut().zip([ours, theirs]) {
            side.push(learned.steps.map_or(f64::INFINITY, |steps| steps as f64));
        }
    }
    let [ours, theirs] = reached.map(median);
    println!(
        "| median | | | **{:.2}** (floor {FLOOR}) | {ours} | {theirs} |",
        median(ratios)
    );
    Ok(())
}

fn said(steps: Option<usize>) -> String {
    steps.map_or_else(|| "never".into(), |steps| steps.to_string())
}

/// Trains with svs: seconds and mean reward of every step.
fn ours(svs: &Path, folder: &Path, seed: u64, steps: usize) -> anyhow::Result<Learned> {
    let runs = tempfile::tempdir()?;
    let config = runs.path().join("copy.toml");
    std::fs::write(&config, configuration(&folder.join("problems.jsonl"), seed, steps)?)?;
    let mut command = Command::new(svs);
    command.args(["train", "--max-num-seqs", "128", "--model"]).arg(folder);
    command.arg("--config").arg(&config).arg("--runs").arg(runs.path());
    let ended = command.output().context("cannot start svs")?;
    ensure!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    let history = std::fs::read_to_string(runs.path().join("copy/metrics.jsonl"))?;
    let read = |line: &str| {
        let line: Value = serde_json::from_str(line).ok()?;
        let of = |name: &str| line["metrics"][name].as_f64();
        Some((of("timing_s/step")?, of("critic/rewards/mean")?))
    };
    Learned::of(&history.lines().filter_map(read).collect::<Vec<_>>())
}

/// The settings of benches/trl/copy_digit.py.
fn configuration(problems: &Path, seed: u64, steps: usize) -> anyhow::Result<String> {
    let mut text = String::new();
    write!(
        text,
        "recipe = \"grpo\"\nrun_id = \"copy\"\nseed = {seed}\nsteps = {steps}\ntensorboard = false\n\
         problems = {{ source = \"files\", files = [{problems:?}], train_batch_size = 8 }}\n\
         prompts = {{ solve = \"{{question}}\" }}\n\
         rollout = {{ n = 16, max_response_length = 8 }}\n\
         algorithm = {{ filter_groups = false }}\n\
         optim = {{ lr = 3e-3 }}\n\
         checkpoint = {{ save_freq = {} }}\n\
         [reward.grader]\ntype = \"text_similarity\"\nname = \"copy\"\nevaluation_metric = \"fuzzy_match\"\n\
         input = \"{{{{ sample.full_text }}}}\"\nreference = \"{{{{ item.reference }}}}\"\n",
        steps + 1
    )?;
    Ok(text)
}
