//! What samples say: medians, ratios of runs that stood next to each other, and whether a floor is reached.

use serde::Serialize;

use crate::contestants::{Contestant, Row, Weights};
use crate::measure::{Figures, Sample, SvsShares};

/// The weights that svs serves by default; its floors are stated for them.
const OURS: Contestant = Contestant::Svs(Weights::Bf16);

/// Median and extremes of some figures.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Spread {
    pub median: f64,
    pub least: f64,
    pub most: f64,
}

impl Spread {
    /// `None` of nothing.
    pub fn of(mut figures: Vec<f64>) -> Option<Self> {
        figures.sort_by(f64::total_cmp);
        let (least, most) = (*figures.first()?, *figures.last()?);
        let (low, high) = (figures[(figures.len() - 1) / 2], figures[figures.len() / 2]);
        Some(Self {
            median: f64::midpoint(low, high),
            least,
            most,
        })
    }
}

/// One contestant in one row.
#[derive(Debug, Clone, Serialize)]
pub struct Standing {
    pub contestant: Contestant,
    pub tokens_per_second: Spread,
    /// svs with its default weights divided by this contestant, alternation by alternation; not of itself.
    pub svs_ratio: Option<Spread>,
}

/// One row.
#[derive(Debug, Clone, Serialize)]
pub struct Verdict {
    pub row: Row,
    pub standings: Vec<Standing>,
    /// The setting of llama.cpp with the best median, of those the floor is stated against.
    pub strongest: Option<Contestant>,
    /// svs divided by it.
    pub ratio: Option<Spread>,
    pub floor: f64,
    /// Whether the median ratio is at least the floor.
    pub reached: Option<bool>,
    /// Share of the machine's fused multiply-adds that svs reaches.
    pub fma_peak_fraction: Option<Spread>,
    /// Share of svs's decode phase outside decoder and sampler.
    pub overhead_fraction: Option<Spread>,
}

/// The verdict on each row that has samples.
pub fn verdicts(samples: &[Sample]) -> Vec<Verdict> {
    let rows = [Row::Decode1, Row::Decode16, Row::Decode64, Row::Prefill, Row::Http];
    let measured = rows
        .into_iter()
        .filter(|row| samples.iter().any(|sample| sample.row == *row));
    measured.map(|row| verdict(row, samples)).collect()
}

fn verdict(row: Row, samples: &[Sample]) -> Verdict {
    let of_row = |contestant: &Contestant| -> Vec<&Sample> {
        let ours = samples.iter().filter(|sample| sample.row == row);
        ours.filter(|sample| sample.contestant == *contestant).collect()
    };
    let ours = of_row(&OURS);
    let mut standings: Vec<Standing> = Vec::new();
    for sample in samples.iter().filter(|sample| sample.row == row) {
        if standings
            .iter()
            .any(|standing| standing.contestant == sample.contestant)
        {
            continue;
        }
        let theirs = of_row(&sample.contestant);
        let rates = theirs.iter().map(|sample| sample.figures.tokens_per_second).collect();
        let Some(tokens_per_second) = Spread::of(rates) else {
            continue;
        };
        standings.push(Standing {
            contestant: sample.contestant.clone(),
            tokens_per_second,
            svs_ratio: ratio(&ours, &theirs).filter(|_| sample.contestant != OURS),
        });
    }
    let (floor, against) = row.floor();
    let strongest = standings
        .iter()
        .filter(|standing| standing.contestant.counts(against))
        .max_by(|a, b| a.tokens_per_second.median.total_cmp(&b.tokens_per_second.median));
    let ratio = strongest.and_then(|standing| standing.svs_ratio);
    let share = |pick: fn(&SvsShares) -> f64| {
        let shares = ours.iter().filter_map(|sample| sample.figures.shares.as_ref());
        Spread::of(shares.map(pick).collect())
    };
    Verdict {
        row,
        strongest: strongest.map(|standing| standing.contestant.clone()),
        ratio,
        floor,
        reached: ratio.map(|ratio| ratio.median >= floor),
        fma_peak_fraction: share(|shares| shares.fma_peak_fraction),
        overhead_fraction: share(|shares| shares.overhead_fraction),
        standings,
    }
}

/// Ours divided by theirs, of the same alternations.
fn ratio(ours: &[&Sample], theirs: &[&Sample]) -> Option<Spread> {
    let rate = |sample: &Sample| sample.figures.tokens_per_second;
    let pairs = ours.iter().filter_map(|our| {
        let their = theirs.iter().find(|their| their.alternation == our.alternation)?;
        Some(rate(our) / rate(their))
    });
    Spread::of(pairs.collect())
}

/// Median of the machine's limits over all runs of svs: operations and bytes per second.
pub fn limits(samples: &[Sample]) -> Option<(Spread, Spread)> {
    let shares: Vec<&SvsShares> = samples
        .iter()
        .filter_map(
            |Sample {
                 figures: Figures { shares, .. },
                 ..
             }| shares.as_ref(),
        )
        .collect();
    let flops = Spread::of(shares.iter().map(|shares| shares.machine_flops).collect())?;
    let read = Spread::of(
        shares
            .iter()
            .map(|shares| shares.machine_read_bytes_per_second)
            .collect(),
    )?;
    Some((flops, read))
}

#[cfg(test)]
#[path = "verdict_tests.rs"]
mod tests;
