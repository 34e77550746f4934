//! The summary of a soak and its verdict.

use anyhow::{Context, ensure};

use super::clients::Outcomes;
use super::watch::Sample;
use crate::measure::slope;

/// Share of the run that counts as warm-up.
const WARM_UP: f64 = 0.2;
/// Share of the run after the warm-up whose speed is compared with that of the same share at the end.
const ENDS: f64 = 0.3;
const MOST_SLOPE: f64 = 1e6;
const LEAST_SPEED: f64 = 0.95;
/// Swaps that must have happened, as a share of those that the time allows.
const LEAST_SWAPS: f64 = 0.5;

/// Tokens per second and per thousand million multiply-adds per second between two samples.
fn speed(from: &Sample, to: &Sample) -> (f64, f64) {
    let tokens = (to.tokens - from.tokens) / (to.seconds - from.seconds);
    let machine = (to.adds - from.adds) / (to.add_seconds - from.add_seconds) / 1e9;
    (tokens, tokens / machine)
}

/// Prints the table and fails if a check does.
pub(super) fn conclude(samples: &[Sample], outcomes: &Outcomes, swap_seconds: u64, clean: bool) -> anyhow::Result<()> {
    let warm = &samples[(samples.len() as f64 * WARM_UP) as usize..];
    let part = (warm.len() as f64 * ENDS) as usize;
    ensure!(part >= 2, "the run was too short to compare its ends");
    let (first, last) = (&warm[..part], &warm[warm.len() - part..]);
    let ends = |part: &[Sample]| Some(speed(part.first()?, part.last()?));
    let ((start, start_relative), (end, end_relative)) =
        (ends(first).context("no samples")?, ends(last).context("no samples")?);
    let (begin, finish) = (
        samples.first().context("no samples")?,
        samples.last().context("no samples")?,
    );
    let memory: Vec<(f64, f64)> = warm.iter().map(|sample| (sample.seconds, sample.rss_bytes)).collect();
    let growth = slope(&memory) * 60.0;
    let swaps = finish.version - begin.version;
    let possible = (finish.seconds - begin.seconds) / swap_seconds as f64;
    let rows = [
        ("answers", format!("{}", outcomes.finished()), outcomes.finished() > 0),
        (
            "left by the client",
            format!("{}", outcomes.left()),
            outcomes.left() > 0,
        ),
        ("errors", format!("{}", outcomes.errors()), outcomes.errors() == 0),
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
            "integrity failures",
            format!("{}", finish.integrity_failures),
            finish.integrity_failures == 0.0,
        ),
        ("stopped when asked", format!("{clean}"), clean),
    ];
    for (what, value, holds) in &rows {
        println!("{} {what:<48} {value}", if *holds { "ok    " } else { "FAILED" });
    }
    for example in outcomes.examples() {
        println!("error: {example}");
    }
    let failed: Vec<&str> = rows.iter().filter(|row| !row.2).map(|row| row.0).collect();
    ensure!(failed.is_empty(), "failed: {}", failed.join(", "));
    Ok(())
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
            integrity_failures: 0.0,
            adds: 3e9 * at,
            add_seconds: at,
        }
    }

    #[test]
    fn speed_of_known_lines() {
        let samples: Vec<Sample> = (0..60).map(|at| sample(f64::from(at))).collect();
        let (tokens, relative) = speed(&samples[10], &samples[30]);
        assert!((tokens - 100.0).abs() < 1e-9 && (relative - 100.0 / 3.0).abs() < 1e-9);
    }
}
