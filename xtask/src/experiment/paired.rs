//! Both recipes on the same problems from few runs: means over problems, intervals from resampling problems.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use anyhow::{Context, ensure};
use serde::{Deserialize, Serialize};
use svs_trainer::eval::Estimate;
use svs_trainer::eval::estimate::{bootstrap, pass_at_k};
use svs_trainer::seeds::derive;

use super::arm::Arm;
use super::comparison::{ENTROPY, find};
use super::records::Evaluation;
use super::report;

/// Resamples of the intervals.
const RESAMPLES: usize = 10_000;
/// The k of pass@k.
const KS: [u32; 3] = [1, 4, 16];

/// All figures of the comparison.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Paired {
    pub(super) seeds: Vec<u64>,
    pub(super) problems: usize,
    pub(super) samples: u32,
    /// At every part of the budget.
    pub(super) points: Vec<Point>,
}

/// Figures at one part of the budget.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Point {
    pub(super) due_tokens: u64,
    /// pass@k as shares, by name.
    pub(super) passes: BTreeMap<String, Pass>,
    /// Nats on held-out samples: at the start, of GRPO, of SvS; means over seeds.
    pub(super) entropy: [f64; 3],
}

/// One pass@k, and differences on the same problems.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Pass {
    pub(super) start: Estimate,
    pub(super) grpo: Estimate,
    pub(super) svs: Estimate,
    pub(super) grpo_less_start: Estimate,
    pub(super) svs_less_start: Estimate,
    pub(super) svs_less_grpo: Estimate,
}

impl Paired {
    /// Compares at every one of `due`.
    pub(super) fn new(evaluations: &[Evaluation], seeds: &[u64], due: &[u64]) -> anyhow::Result<Self> {
        let first = evaluations.first().context("there are no evaluations")?;
        let (samples, problems) = (first.samples, first.correct.len());
        let alike = |one: &Evaluation| one.samples == samples && one.correct.len() == problems;
        ensure!(
            evaluations.iter().all(alike),
            "the evaluations have different problems or samples"
        );
        let point = |&due: &u64| {
            let pass = |&k: &u32| Ok((format!("pass@{k}"), Pass::new(evaluations, seeds, due, k)?));
            let ks = KS.iter().filter(|k| **k <= samples);
            Ok(Point {
                due_tokens: due,
                passes: ks.map(pass).collect::<anyhow::Result<_>>()?,
                entropy: [
                    entropy(evaluations, (Arm::Start, 0), seeds)?,
                    entropy(evaluations, (Arm::Grpo, due), seeds)?,
                    entropy(evaluations, (Arm::Svs, due), seeds)?,
                ],
            })
        };
        Ok(Self {
            seeds: seeds.to_vec(),
            problems,
            samples,
            points: due.iter().map(point).collect::<anyhow::Result<_>>()?,
        })
    }
}

impl Pass {
    fn new(evaluations: &[Evaluation], seeds: &[u64], due: u64, k: u32) -> anyhow::Result<Self> {
        let draws = derive(&["paired", &k.to_string(), &due.to_string()]);
        let estimate = |values: &[f64]| bootstrap(values, RESAMPLES, draws).context("no problems");
        let less = |left: &[f64], right: &[f64]| {
            let differences: Vec<f64> = left.iter().zip(right).map(|(left, right)| left - right).collect();
            estimate(&differences)
        };
        let of = |arm, due| by_problem(evaluations, (arm, due), seeds, k);
        let (start, grpo, svs) = (of(Arm::Start, 0)?, of(Arm::Grpo, due)?, of(Arm::Svs, due)?);
        Ok(Self {
            grpo_less_start: less(&grpo, &start)?,
            svs_less_start: less(&svs, &start)?,
            svs_less_grpo: less(&svs, &grpo)?,
            start: estimate(&start)?,
            grpo: estimate(&grpo)?,
            svs: estimate(&svs)?,
        })
    }
}

/// pass@k of every problem, a mean over seeds.
fn by_problem(evaluations: &[Evaluation], (arm, due): (Arm, u64), seeds: &[u64], k: u32) -> anyhow::Result<Vec<f64>> {
    let mut sums: Vec<f64> = Vec::new();
    for &seed in seeds {
        let one = find(evaluations, arm, seed, due)?;
        sums.resize(one.correct.len(), 0.0);
        for (sum, &correct) in sums.iter_mut().zip(&one.correct) {
            *sum += pass_at_k(one.samples, correct, k).context("more correct than samples")? / seeds.len() as f64;
        }
    }
    Ok(sums)
}

fn entropy(evaluations: &[Evaluation], (arm, due): (Arm, u64), seeds: &[u64]) -> anyhow::Result<f64> {
    let of_seed = |&seed: &u64| Ok(find(evaluations, arm, seed, due)?.entropy);
    let all = seeds.iter().map(of_seed).collect::<anyhow::Result<Vec<f64>>>()?;
    Ok(all.iter().sum::<f64>() / seeds.len().max(1) as f64)
}

/// Writes the report on `seeds`, all of whose evaluations must be there.
///
/// # Errors
/// Evaluations that are missing, files that cannot be read or written.
pub(super) fn write(out: &Path, seeds: &[u64], due: &[u64]) -> anyhow::Result<()> {
    let evaluations = report::gather(out, seeds, due)?;
    let found = Paired::new(&evaluations, seeds, due)?;
    let tables = tables(&found, &evaluations)?;
    report::save(out, "results.json", &(serde_json::to_string_pretty(&found)? + "\n"))?;
    report::save(out, "tables.md", &tables)?;
    report::save(out, "steps.csv", &report::steps(out, &evaluations)?)?;
    report::steps_plot(out, seeds, &evaluations)?;
    println!("{tables}\nreport in {}", report::folder(out).display());
    Ok(())
}

/// What became of every pass@k, at every part of the budget.
pub(super) fn tables(found: &Paired, evaluations: &[Evaluation]) -> anyhow::Result<String> {
    let mut text = String::from(
        "| tokens due | held out | before | GRPO | SvS | GRPO − before | SvS − before | SvS − GRPO |\n\
         |---|---|---|---|---|---|---|---|\n",
    );
    for point in &found.points {
        for k in KS {
            let name = format!("pass@{k}");
            let Some(pass) = point.passes.get(&name) else { continue };
            let plain = [pass.start, pass.grpo, pass.svs].map(|estimate| shown(estimate, false));
            let differences = [pass.grpo_less_start, pass.svs_less_start, pass.svs_less_grpo];
            let cells = [plain, differences.map(|estimate| shown(estimate, true))].concat();
            writeln!(text, "| {} | {name}, % | {} |", point.due_tokens, cells.join(" | "))?;
        }
        let [start, grpo, svs] = point.entropy;
        writeln!(
            text,
            "| {} | {ENTROPY}, nats | {start:.3} | {grpo:.3} | {svs:.3} | {:+.3} | {:+.3} | {:+.3} |",
            point.due_tokens,
            grpo - start,
            svs - start,
            svs - grpo
        )?;
    }
    text += "\n| tokens due | recipe | seed | steps | generated tokens |\n|---|---|---|---|---|\n";
    for one in evaluations.iter().filter(|one| one.due_tokens > 0) {
        let (due, recipe) = (one.due_tokens, one.arm.name());
        writeln!(
            text,
            "| {due} | {recipe} | {} | {} | {} |",
            one.seed, one.step, one.generated_tokens
        )?;
    }
    Ok(text)
}

/// In percent, with its interval.
fn shown(estimate: Estimate, signed: bool) -> String {
    let [mean, lower, upper] = [estimate.mean, estimate.lower, estimate.upper].map(|share| 100.0 * share);
    if signed {
        format!("{mean:+.1} [{lower:+.1}, {upper:+.1}]")
    } else {
        format!("{mean:.1} [{lower:.1}, {upper:.1}]")
    }
}

#[cfg(test)]
#[path = "paired_tests.rs"]
mod tests;
