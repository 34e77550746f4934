//! The two recipes side by side, made of the evaluations alone: interquartile means over shapes and seeds.

use std::collections::BTreeMap;

use anyhow::{Context, ensure};
use serde::{Deserialize, Serialize};
use svs_trainer::eval::estimate::{Interval, interquartile_mean, pass_at_k, stratified, stratified_difference};
use svs_trainer::seeds::derive;

use super::arm::Arm;
use super::held_out::tasks;
use super::records::Evaluation;

/// Resamples of the intervals.
const RESAMPLES: usize = 10_000;
/// The k of pass@k.
const KS: [u32; 3] = [1, 8, 32];
/// Name of the measure that has one score per seed, not one per shape.
pub(super) const ENTROPY: &str = "entropy";

/// All figures of the comparison.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Comparison {
    pub(super) seeds: Vec<u64>,
    /// Shapes of computation: the tasks of the interquartile mean.
    pub(super) tasks: usize,
    pub(super) problems: usize,
    pub(super) samples: u32,
    pub(super) resamples: usize,
    /// From the start to the whole budget.
    pub(super) points: Vec<Point>,
}

/// Figures at one part of the budget.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Point {
    pub(super) due_tokens: u64,
    /// By name: `pass@k` as shares, `entropy` in nats.
    pub(super) measures: BTreeMap<String, Measure>,
}

/// One measure of both recipes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Measure {
    pub(super) grpo: Interval,
    pub(super) svs: Interval,
    /// SvS less GRPO, resampled over pairs of the same seed.
    pub(super) difference: Interval,
    /// Plain means over all problems and seeds.
    pub(super) grpo_mean: f64,
    pub(super) svs_mean: f64,
    /// Seeds of which the interquartile mean of SvS is the higher.
    pub(super) seeds_higher: usize,
}

impl Comparison {
    /// Compares at the start and at every one of `due`.
    pub(super) fn new(evaluations: &[Evaluation], seeds: &[u64], due: &[u64]) -> anyhow::Result<Self> {
        let first = evaluations.first().context("there are no evaluations")?;
        let (samples, problems) = (first.samples, first.correct.len());
        ensure!(
            evaluations
                .iter()
                .all(|one| one.samples == samples && one.correct.len() == problems),
            "the evaluations have different problems or samples"
        );
        let names = names(samples);
        let point = |due: u64| {
            let measure = |name: &String| Ok((name.clone(), measure(evaluations, seeds, due, name)?));
            let measures = names.iter().map(measure).collect::<anyhow::Result<_>>()?;
            Ok(Point {
                due_tokens: due,
                measures,
            })
        };
        let points = std::iter::once(0).chain(due.iter().copied()).map(point);
        Ok(Self {
            seeds: seeds.to_vec(),
            tasks: tasks(),
            problems,
            samples,
            resamples: RESAMPLES,
            points: points.collect::<anyhow::Result<_>>()?,
        })
    }

    /// The point at the whole budget.
    pub(super) fn end(&self) -> anyhow::Result<&Point> {
        self.points.last().context("there are no points")
    }
}

/// Names of the measures that `samples` allow.
pub(super) fn names(samples: u32) -> Vec<String> {
    let passes = KS.into_iter().filter(|k| *k <= samples).map(|k| format!("pass@{k}"));
    passes.chain([ENTROPY.to_owned()]).collect()
}

/// Scores of one evaluation, one per task.
pub(super) fn scores(evaluation: &Evaluation, name: &str) -> anyhow::Result<Vec<f64>> {
    let Some(k) = name.strip_prefix("pass@") else {
        return Ok(vec![evaluation.entropy]);
    };
    let k: u32 = k.parse().with_context(|| name.to_owned())?;
    let per_task = evaluation.correct.len() / tasks();
    ensure!(
        per_task * tasks() == evaluation.correct.len() && per_task > 0,
        "problems are missing"
    );
    let pass = |correct: &u32| pass_at_k(evaluation.samples, *correct, k).context("more correct than samples");
    let score = |of_task: &[u32]| {
        let values = of_task.iter().map(pass).collect::<anyhow::Result<Vec<f64>>>()?;
        Ok(values.iter().sum::<f64>() / per_task as f64)
    };
    evaluation.correct.chunks(per_task).map(score).collect()
}

/// The evaluation of `arm` with `seed` at `due`; the start is the same for both recipes.
pub(super) fn find(evaluations: &[Evaluation], arm: Arm, seed: u64, due: u64) -> anyhow::Result<&Evaluation> {
    let arm = if due == 0 { Arm::Start } else { arm };
    let wanted = |one: &&Evaluation| (one.arm, one.seed, one.due_tokens) == (arm, seed, due);
    let found = evaluations.iter().find(wanted);
    found.with_context(|| format!("no evaluation of {} with seed {seed} at {due} tokens", arm.name()))
}

/// `scores[task][seed]` of an arm.
fn matrix(evaluations: &[Evaluation], arm: Arm, seeds: &[u64], due: u64, name: &str) -> anyhow::Result<Vec<Vec<f64>>> {
    let runs = seeds
        .iter()
        .map(|&seed| scores(find(evaluations, arm, seed, due)?, name));
    let runs = runs.collect::<anyhow::Result<Vec<_>>>()?;
    let tasks = runs.first().map_or(0, Vec::len);
    Ok((0..tasks)
        .map(|task| runs.iter().map(|run| run[task]).collect())
        .collect())
}

fn measure(evaluations: &[Evaluation], seeds: &[u64], due: u64, name: &str) -> anyhow::Result<Measure> {
    let grpo = matrix(evaluations, Arm::Grpo, seeds, due, name)?;
    let svs = matrix(evaluations, Arm::Svs, seeds, due, name)?;
    let draws = derive(&["svs-vs-grpo", name, &due.to_string()]);
    let interval = |tasks: &[Vec<f64>]| stratified(tasks, RESAMPLES, draws).context("no seeds");
    let of_seed = |tasks: &[Vec<f64>], at: usize| {
        interquartile_mean(&tasks.iter().map(|runs| vec![runs[at]]).collect::<Vec<_>>())
    };
    Ok(Measure {
        grpo: interval(&grpo)?,
        svs: interval(&svs)?,
        difference: stratified_difference(&svs, &grpo, RESAMPLES, draws).context("no seeds")?,
        grpo_mean: mean(&grpo),
        svs_mean: mean(&svs),
        seeds_higher: (0..seeds.len())
            .filter(|&at| of_seed(&svs, at) > of_seed(&grpo, at))
            .count(),
    })
}

/// Mean of all scores; tasks have as many problems each.
fn mean(tasks: &[Vec<f64>]) -> f64 {
    let count: usize = tasks.iter().map(Vec::len).sum();
    tasks.iter().flatten().sum::<f64>() / count.max(1) as f64
}

#[cfg(test)]
#[path = "comparison_tests.rs"]
mod tests;
