//! The summary of a soak and its verdict.

use anyhow::{Context, ensure};

use super::outcomes::Outcomes;
use super::watch::Sample;
use super::{clients, controller};
use crate::measure::slope;

/// Share of the run that counts as warm-up, and its least length: caches of KV and guides are full only after a minute or two.
const WARM_UP: f64 = 0.2;
const LEAST_WARM_UP_S: f64 = 120.0;
/// Of a short run at least so much is not warm-up.
const LEAST_WARM: f64 = 0.5;
/// Share of the run after the warm-up whose speed is compared with that of the same share at the end.
const ENDS: f64 = 0.3;
const MOST_SLOPE: f64 = 1e6;
const LEAST_SPEED: f64 = 0.95;
/// Swaps that must have happened, as a share of those that the time allows.
const LEAST_SWAPS: f64 = 0.5;

/// Tokens per second and per thousand million multiply-adds per second, over the time in which all clients were at work.
fn speed(samples: &[Sample]) -> (f64, f64) {
    let busy = || samples.windows(2).filter(|pair| pair[0].busy && pair[1].busy);
    let over = |of: fn(&Sample) -> f64| busy().map(|pair| of(&pair[1]) - of(&pair[0])).sum::<f64>();
    let tokens = over(|sample| sample.tokens) / over(|sample| sample.seconds);
    let machine = over(|sample| sample.adds) / over(|sample| sample.add_seconds) / 1e9;
    (tokens, tokens / machine)
}

/// A line of the table: what, its value, and whether that is as it should be.
type Row = (&'static str, String, bool);

/// Prints the table and fails if a check does.
pub(super) fn conclude(
    samples: &[Sample],
    outcomes: &Outcomes,
    replayed: usize,
    swap_seconds: u64,
    clean: bool,
) -> anyhow::Result<()> {
    let mut rows = answers(outcomes, replayed);
    rows.extend(server(samples, outcomes, swap_seconds)?);
    rows.push(("stopped when asked", format!("{clean}"), clean));
    for (what, value, holds) in &rows {
        println!("{} {what:<48} {value}", if *holds { "ok    " } else { "FAILED" });
    }
    for example in outcomes.errors().1 {
        println!("error: {example}");
    }
    let failed: Vec<&str> = rows.iter().filter(|row| !row.2).map(|row| row.0).collect();
    ensure!(failed.is_empty(), "failed: {}", failed.join(", "));
    Ok(())
}

/// Of each kind some, no error, and weights that can be told apart.
fn answers(outcomes: &Outcomes, replayed: usize) -> Vec<Row> {
    let kinds = clients::ANSWERS
        .into_iter()
        .chain([clients::LEFT, controller::PAUSED, controller::LOADED]);
    let mut rows: Vec<Row> = kinds
        .map(|kind| (kind, outcomes.of(kind)))
        .map(|(kind, count)| (kind, format!("{count}"), count > 0))
        .collect();
    let (known, different) = outcomes.told_apart();
    let errors = outcomes.errors().0;
    rows.extend([
        (
            "streams over swaps equal to replays",
            format!("{replayed} computed again"),
            replayed > 0,
        ),
        (
            "texts that all three weights answer otherwise",
            format!("{different} of {known}"),
            2 * different > known,
        ),
        ("errors", format!("{errors}"), errors == 0),
    ]);
    rows
}

/// What comes after the warm-up.
fn warm(samples: &[Sample]) -> &[Sample] {
    let whole = samples.last().map_or(0.0, |sample| sample.seconds);
    let warm_up_s = (WARM_UP * whole).max(LEAST_WARM_UP_S).min((1.0 - LEAST_WARM) * whole);
    let cold = samples.iter().take_while(|sample| sample.seconds < warm_up_s).count();
    &samples[cold..]
}

fn server(samples: &[Sample], outcomes: &Outcomes, swap_seconds: u64) -> anyhow::Result<Vec<Row>> {
    let warm = warm(samples);
    let part = (warm.len() as f64 * ENDS) as usize;
    ensure!(part >= 2, "the run was too short to compare its ends");
    let (first, last) = (&warm[..part], &warm[warm.len() - part..]);
    let ((start, start_relative), (end, end_relative)) = (speed(first), speed(last));
    let (begin, finish) = (
        samples.first().context("no samples")?,
        samples.last().context("no samples")?,
    );
    let memory: Vec<(f64, f64)> = warm.iter().map(|sample| (sample.seconds, sample.rss_bytes)).collect();
    let growth = slope(&memory) * 60.0;
    let swaps = finish.version - begin.version;
    let possible = (finish.seconds - begin.seconds) / swap_seconds as f64;
    let quiet = outcomes.of(controller::QUIETED);
    Ok(vec![
        (
            "swaps",
            format!("{swaps} of {possible:.0} possible"),
            swaps >= LEAST_SWAPS * possible,
        ),
        ("tokens/s at the start", format!("{start:.0}"), start > 0.0),
        ("tokens/s at the end", format!("{end:.0}"), true),
        (
            "end / start, relative to the multiply-add loop",
            format!("{:.3} (at least {LEAST_SPEED})", end_relative / start_relative),
            end_relative >= LEAST_SPEED * start_relative,
        ),
        (
            "memory after warm-up, at the end",
            format!("{:.1} MB, {:.1} MB", warm[0].rss_bytes / 1e6, finish.rss_bytes / 1e6),
            true,
        ),
        (
            "growth",
            format!("{:.2} MB/min (below 1)", growth / 1e6),
            growth < MOST_SLOPE,
        ),
        (
            controller::QUIETED,
            format!("{quiet}, {} checks", finish.integrity_checks),
            quiet > 0 && finish.integrity_checks >= quiet as f64,
        ),
        (
            "integrity failures",
            format!("{}", finish.integrity_failures),
            finish.integrity_failures == 0.0,
        ),
        ("preemptions", format!("{}", finish.preemptions), true),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(at: f64) -> Sample {
        Sample {
            seconds: at,
            rss_bytes: 1e8,
            tokens: 100.0 * at,
            version: at,
            integrity_checks: 0.0,
            integrity_failures: 0.0,
            preemptions: 0.0,
            busy: true,
            adds: 3e9 * at,
            add_seconds: at,
        }
    }

    #[test]
    fn the_warm_up_is_long_but_never_most_of_the_run() {
        for (length, wanted) in [(60, 30.0), (240, 120.0), (600, 120.0), (1200, 240.0)] {
            let samples: Vec<Sample> = (0..=length).map(|at| sample(f64::from(at))).collect();
            assert_eq!(warm(&samples)[0].seconds, wanted, "{length} s");
        }
    }

    #[test]
    fn speed_of_known_lines() {
        let mut samples: Vec<Sample> = (0..60).map(|at| sample(f64::from(at))).collect();
        for moment in [false, true] {
            let (tokens, relative) = speed(&samples[10..=40]);
            assert!(
                (tokens - 100.0).abs() < 1e-9 && (relative - 100.0 / 3.0).abs() < 1e-9,
                "{moment}"
            );
            // Then a moment of quiet, in which no token comes.
            samples[20].busy = false;
            samples[20..].iter_mut().for_each(|sample| sample.tokens -= 50.0);
        }
    }
}
