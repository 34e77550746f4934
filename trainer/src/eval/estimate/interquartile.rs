//! Figures of few runs on several tasks: interquartile means and stratified bootstrap intervals.
//!
//! A mean over five runs follows its worst run; a median ignores most of the scores. The interquartile mean lies between
//! them, and the bootstrap says how far five runs carry. What a task and a run are is the caller's business.

use serde::{Deserialize, Serialize};

use super::quantile;
use crate::seeds::SplitMix;

/// Share of the scores that is left out at each end.
const TRIMMED: f64 = 0.25;

/// A figure with its 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// The figure of the scores as they are.
    pub value: f64,
    /// 2.5 % quantile of the resampled figures.
    pub lower: f64,
    /// 97.5 % quantile.
    pub upper: f64,
}

/// Mean of the scores of all tasks and runs (`tasks[task][run]`) without the lowest and the highest quarter, rounded
/// down; `None` without scores.
///
/// # Source
/// Agarwal et al., Deep Reinforcement Learning at the Edge of the Statistical Precipice, 2021.
#[must_use]
pub fn interquartile_mean(tasks: &[Vec<f64>]) -> Option<f64> {
    let mut scores: Vec<f64> = tasks.iter().flatten().copied().collect();
    scores.sort_by(f64::total_cmp);
    let cut = (TRIMMED * scores.len() as f64).floor() as usize;
    let kept = &scores[cut..scores.len() - cut];
    (!kept.is_empty()).then(|| kept.iter().sum::<f64>() / kept.len() as f64)
}

/// The interquartile mean of `tasks[task][run]`, and its interval from drawing runs with replacement for each task by
/// itself. The same seed gives the same interval; `None` if a task has no run.
///
/// # Source
/// Agarwal et al., 2021 (stratified bootstrap over tasks, percentile interval).
#[must_use]
pub fn stratified(tasks: &[Vec<f64>], resamples: usize, seed: u64) -> Option<Interval> {
    let runs: Vec<usize> = tasks.iter().map(Vec::len).collect();
    interval(&runs, resamples, seed, |draws| {
        interquartile_mean(&picked(tasks, draws))
    })
}

/// By how much the interquartile mean of `tasks` exceeds that of `others`, whose runs are paired with them: a draw takes
/// the same runs of both. `None` if a task has no run or the shapes differ.
#[must_use]
pub fn stratified_difference(tasks: &[Vec<f64>], others: &[Vec<f64>], resamples: usize, seed: u64) -> Option<Interval> {
    let runs: Vec<usize> = tasks.iter().map(Vec::len).collect();
    if !others.iter().map(Vec::len).eq(runs.iter().copied()) {
        return None;
    }
    interval(&runs, resamples, seed, |draws| {
        Some(interquartile_mean(&picked(tasks, draws))? - interquartile_mean(&picked(others, draws))?)
    })
}

/// The scores of the drawn runs, by task.
fn picked(tasks: &[Vec<f64>], draws: &[Vec<usize>]) -> Vec<Vec<f64>> {
    let pick = |(scores, draws): (&Vec<f64>, &Vec<usize>)| draws.iter().map(|&run| scores[run]).collect();
    tasks.iter().zip(draws).map(pick).collect()
}

/// `figure` of every run once, and its interval over `resamples` draws of as many runs of each task.
fn interval(
    runs: &[usize],
    resamples: usize,
    seed: u64,
    figure: impl Fn(&[Vec<usize>]) -> Option<f64>,
) -> Option<Interval> {
    if runs.contains(&0) {
        return None;
    }
    let all: Vec<Vec<usize>> = runs.iter().map(|&count| (0..count).collect()).collect();
    let value = figure(&all)?;
    let mut random = SplitMix::new(seed);
    let mut draw = |&count: &usize| (0..count).map(|_| random.below(count)).collect();
    let mut figures: Vec<f64> = (0..resamples.max(1))
        .filter_map(|_| figure(&runs.iter().map(&mut draw).collect::<Vec<_>>()))
        .collect();
    figures.sort_by(f64::total_cmp);
    Some(Interval {
        value,
        lower: quantile(&figures, 0.025),
        upper: quantile(&figures, 0.975),
    })
}

#[cfg(test)]
#[path = "interquartile_tests.rs"]
mod tests;
