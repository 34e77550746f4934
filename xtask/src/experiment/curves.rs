//! Curves over generated tokens: one per seed, and their interquartile mean with its interval.

use std::path::Path;

use anyhow::Context;
use svs_trainer::eval::estimate::{Interval, interquartile_mean, stratified};
use svs_trainer::run::history;
use svs_trainer::seeds::derive;

use super::arm::{Arm, RUN};
use super::comparison::{self, Comparison, ENTROPY};
use super::records::Evaluation;

/// Places at which step curves of different seeds are compared.
const GRID: usize = 48;
/// Resamples of the bands of step curves.
const RESAMPLES: usize = 2000;

/// Curves of one recipe in one panel.
pub(super) struct Curve {
    pub(super) arm: Arm,
    /// One per seed: generated tokens or steps, and value.
    pub(super) runs: Vec<Vec<(f64, f64)>>,
    pub(super) middle: Vec<(f64, Interval)>,
}

/// A measure of the held-out problems at every evaluation.
pub(super) fn of_measure(
    compared: &Comparison,
    evaluations: &[Evaluation],
    arm: Arm,
    name: &str,
) -> anyhow::Result<Curve> {
    let of_seed = |&seed: &u64| {
        let at = |point: &comparison::Point| {
            let evaluation = comparison::find(evaluations, arm, seed, point.due_tokens)?;
            let scores: Vec<Vec<f64>> = comparison::scores(evaluation, name)?
                .into_iter()
                .map(|score| vec![score])
                .collect();
            let value = interquartile_mean(&scores).context("no scores")?;
            Ok((evaluation.generated_tokens as f64, value))
        };
        compared.points.iter().map(at).collect()
    };
    let at = |point: &comparison::Point| {
        let measure = point.measures.get(name).with_context(|| format!("no {name}"))?;
        let interval = if arm == Arm::Svs { measure.svs } else { measure.grpo };
        Ok((point.due_tokens as f64, interval))
    };
    Ok(Curve {
        arm,
        runs: compared.seeds.iter().map(of_seed).collect::<anyhow::Result<_>>()?,
        middle: compared.points.iter().map(at).collect::<anyhow::Result<_>>()?,
    })
}

/// A metric of the training steps of every seed over another one, `across`, up to `end` of that.
pub(super) fn of_steps(
    out: &Path,
    (arm, seeds): (Arm, &[u64]),
    (across, end): (&str, f64),
    metric: &str,
) -> anyhow::Result<Curve> {
    let of_seed = |&seed: &u64| -> anyhow::Result<Vec<(f64, f64)>> {
        let records = history::read(&arm.folder(out, seed).join(RUN))?;
        let point = |record: &history::Record| {
            let value = |name: &str| record.metrics.get(name).copied();
            Some((value(across)?, value(metric)?))
        };
        let mut points: Vec<(f64, f64)> = records.iter().filter_map(point).collect();
        // Up to the first one at the end; a run with a larger budget may have gone further.
        points.truncate(points.partition_point(|point| point.0 < end) + 1);
        anyhow::ensure!(!points.is_empty(), "{} seed {seed} has no {metric}", arm.name());
        Ok(points)
    };
    let runs = seeds.iter().map(of_seed).collect::<anyhow::Result<Vec<_>>>()?;
    let first = runs.iter().map(|run| run[0].0).fold(0.0, f64::max);
    let at = |place: usize| first + (end - first) * place as f64 / (GRID - 1) as f64;
    let middle = (0..GRID).map(at).map(|x| {
        let scores = vec![runs.iter().map(|run| interpolated(run, x)).collect()];
        let draws = derive(&["svs-vs-grpo", metric, &x.to_bits().to_string()]);
        Some((x, stratified(&scores, RESAMPLES, draws)?))
    });
    let middle = middle.collect::<Option<_>>().context("no seeds")?;
    Ok(Curve { arm, runs, middle })
}

/// The value at `x` on the line through `points`, whose ends go on level.
fn interpolated(points: &[(f64, f64)], x: f64) -> f64 {
    let after = points.partition_point(|point| point.0 < x);
    let (Some(right), Some(left)) = (points.get(after), points.get(after.wrapping_sub(1))) else {
        return if after == 0 { points[0].1 } else { points[after - 1].1 };
    };
    left.1 + (right.1 - left.1) * (x - left.0) / (right.0 - left.0)
}

/// Title of a measure's panel, and what its values are multiplied by.
pub(super) fn title(name: &str) -> (String, f64) {
    match name {
        ENTROPY => ("held-out entropy (nats per token)".into(), 1.0),
        name => (format!("held-out {name} (%)"), 100.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn between_points_lies_the_line_and_beyond_them_their_ends() {
        let points = [(10.0, 1.0), (20.0, 3.0), (40.0, 2.0)];
        for (x, expected) in [
            (0.0, 1.0),
            (10.0, 1.0),
            (15.0, 2.0),
            (20.0, 3.0),
            (30.0, 2.5),
            (40.0, 2.0),
            (99.0, 2.0),
        ] {
            assert_eq!(interpolated(&points, x), expected, "{x}");
        }
    }
}
