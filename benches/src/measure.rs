//! The alternation: contestants of a row run directly after one another, in an order that turns around every time, so that
//! a machine that gets slower or faster does so for all of them.

use std::time::Duration;

use anyhow::Context;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use crate::contestants::{Contestant, Row};
use crate::machine::{Ticks, wait_until_quiet};

/// What one measurement gave.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Figures {
    /// The rate.
    pub tokens_per_second: f64,
    /// What else svs tells of its own runs.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub shares: Option<SvsShares>,
    /// Sampled tokens that came without the logprob asked for.
    pub missing_logprobs: usize,
}

/// Shares of the machine's limits, which `svs bench` measures beside each run.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct SvsShares {
    /// Arithmetic as a share of the machine's fused multiply-adds.
    pub fma_peak_fraction: f64,
    /// Share of the decode phase outside decoder and sampler.
    pub overhead_fraction: f64,
    /// Fused multiply-adds of the machine, two operations each.
    pub machine_flops: f64,
    /// Bytes that the machine reads.
    pub machine_read_bytes_per_second: f64,
}

impl Figures {
    pub fn of_svs(tokens_per_second: f64, shares: SvsShares) -> Self {
        Self {
            tokens_per_second,
            shares: Some(shares),
            missing_logprobs: 0,
        }
    }

    pub fn of_peer(tokens_per_second: f64) -> Self {
        Self {
            tokens_per_second,
            shares: None,
            missing_logprobs: 0,
        }
    }
}

/// One measurement in its place.
#[derive(Debug, Clone, Serialize)]
pub struct Sample {
    pub row: Row,
    pub contestant: Contestant,
    /// From 0.
    pub alternation: usize,
    #[serde(flatten)]
    pub figures: Figures,
    /// Share of the machine that others used meanwhile; unknown for a server that is not ours.
    pub foreign_share: Option<f64>,
}

/// Runs one contestant once and gives the rows it measured. The number is another one each time that the contestant runs.
pub type Run<'a> = Box<dyn Fn(usize) -> anyhow::Result<Vec<(Row, Figures)>> + 'a>;

/// Contestants that alternate with one another.
pub struct Heat<'a> {
    pub contestants: Vec<(Contestant, Run<'a>)>,
    /// Processes that are ours.
    pub servers: Vec<u32>,
}

/// How much of others' work is borne.
#[derive(Debug, Clone, Copy)]
pub struct Calm {
    /// Share of the machine that others may use while something is measured.
    pub limit: f64,
    /// How long to wait for that before each measurement.
    pub patience: Duration,
    /// How often to measure again what was disturbed; the least disturbed counts.
    pub retries: usize,
}

/// Runs every heat `alternations` times; `after_each` gets the samples so far at the end of each.
///
/// # Errors
/// A run that fails, with the contestant's name.
pub fn alternate(
    heats: &[Heat<'_>],
    alternations: usize,
    calm: Calm,
    mut after_each: impl FnMut(&[Sample]) -> anyhow::Result<()>,
) -> anyhow::Result<Vec<Sample>> {
    let runs: usize = heats.iter().map(|heat| heat.contestants.len()).sum();
    let bar = progress(alternations * runs);
    let mut samples = Vec::new();
    for alternation in 0..alternations {
        for heat in heats {
            let mut order: Vec<_> = heat.contestants.iter().collect();
            if alternation % 2 == 1 {
                order.reverse();
            }
            for (contestant, run) in order {
                bar.set_message(format!("alternation {}: {contestant}", alternation + 1));
                let (measured, foreign_share) = calmly(contestant, &heat.servers, calm, alternation, run)?;
                samples.extend(measured.into_iter().map(|(row, figures)| Sample {
                    row,
                    contestant: contestant.clone(),
                    alternation,
                    figures,
                    foreign_share,
                }));
                bar.inc(1);
            }
        }
        after_each(&samples)?;
    }
    bar.finish_and_clear();
    Ok(samples)
}

type Measured = (Vec<(Row, Figures)>, Option<f64>);

/// The least disturbed of as many runs as it takes, within bounds.
fn calmly(
    contestant: &Contestant,
    servers: &[u32],
    calm: Calm,
    alternation: usize,
    run: &Run<'_>,
) -> anyhow::Result<Measured> {
    let mut best: Option<Measured> = None;
    for attempt in 0..=calm.retries {
        wait_until_quiet(calm.limit, calm.patience, servers);
        let before = Ticks::now(servers);
        let measured = run(alternation * (calm.retries + 1) + attempt).with_context(|| contestant.to_string())?;
        let foreign = match (before, Ticks::now(servers)) {
            // What a server that is not ours uses cannot be told from what others use.
            (Some(before), Some(after)) if !matches!(contestant, Contestant::Url(_)) => {
                Some(after.foreign_since(&before))
            }
            _ => return Ok((measured, None)),
        };
        if best.as_ref().is_none_or(|(_, least)| foreign < *least) {
            best = Some((measured, foreign));
        }
        if foreign.is_some_and(|share| share <= calm.limit) {
            break;
        }
    }
    best.context("no run")
}

fn progress(runs: usize) -> ProgressBar {
    let style = ProgressStyle::with_template("[{bar:30}] {pos}/{len} {elapsed_precise} (left {eta}) {msg}")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    let bar = ProgressBar::new(runs as u64).with_style(style);
    bar.enable_steady_tick(Duration::from_secs(1));
    bar
}

#[cfg(test)]
#[path = "measure_tests.rs"]
mod tests;
