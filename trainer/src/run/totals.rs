//! What all runs of this process have counted so far, for counters and histograms of a monitor.

use std::collections::BTreeMap;

use svs_engine::Buckets;

use crate::clock::unix_s;

/// Bounds of how many versions behind a row is.
const VERSIONS_BEHIND: &[f64] = &[0.0, 1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 16.0, 32.0, 64.0];
/// Bounds of packing and publishing, seconds.
const PUBLISH_SECONDS: &[f64] = &[
    0.001, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0,
];
/// Metrics of a step that count something, by the beginning of their name.
const COUNTED: &[&str] = &[
    "verifier/",
    "svs/rejected/",
    "svs/contexts_rejected/",
    "training/masked/",
    "trajectories/rejected/",
];
/// Metrics of a step that count something, by name.
const COUNTS: &[&str] = &[
    "svs/contexts",
    "svs/extracted",
    "svs/rewarded",
    "svs/solve/groups",
    "svs/solve/kept_groups",
    "svs/solve/rows",
    "svs/solve_synthetic/groups",
    "svs/solve_synthetic/kept_groups",
    "svs/solve_synthetic/rows",
    "svs/synthesize/kept_groups",
    "svs/synthesized",
    "svs/under_performing_prompts",
    "svs/valid",
    "training/optimizer_steps",
    "training/rows",
    "training/skipped_steps",
    "training/tokens",
];

/// Sums and distributions since the process began; they only grow.
#[derive(Debug, Clone, PartialEq)]
pub struct Totals {
    /// Steps done.
    pub steps: u64,
    /// When the last one ended, seconds since the epoch.
    pub last_step_at: Option<f64>,
    /// Sums over the steps of the metrics that count something, by their names.
    pub counts: BTreeMap<String, f64>,
    /// Rows trained on by how many versions the policy was ahead of the weights that began them.
    pub staleness: Buckets,
    /// Publishes by the seconds that packing and publishing took.
    pub publishes: Buckets,
}

impl Default for Totals {
    fn default() -> Self {
        Self {
            steps: 0,
            last_step_at: None,
            counts: BTreeMap::new(),
            staleness: Buckets::new(VERSIONS_BEHIND),
            publishes: Buckets::new(PUBLISH_SECONDS),
        }
    }
}

impl Totals {
    /// Takes in the metrics of a step.
    pub(super) fn step(&mut self, metrics: &BTreeMap<String, f64>) {
        self.steps += 1;
        self.last_step_at = Some(unix_s());
        let counted = |name: &str| COUNTS.contains(&name) || COUNTED.iter().any(|start| name.starts_with(start));
        for (name, value) in metrics.iter().filter(|(name, _)| counted(name)) {
            *self.counts.entry(name.clone()).or_default() += value;
        }
        if let Some(ms) = metrics.get("publish/ms") {
            self.publishes.add(ms / 1e3);
        }
    }
}

#[test]
fn counts_are_summed_and_means_are_not() {
    let mut totals = Totals::default();
    let metrics = [
        ("verifier/solve/correct", 3.0),
        ("svs/rejected/leak", 1.0),
        ("training/rows", 8.0),
        ("critic/score/mean", 0.5),
        ("svs/valid_rate", 0.5),
        ("publish/ms", 20.0),
    ];
    let metrics: BTreeMap<String, f64> = metrics.map(|(name, value)| (name.to_owned(), value)).into();
    totals.step(&metrics);
    totals.step(&metrics);
    let counts: Vec<_> = totals
        .counts
        .iter()
        .map(|(name, value)| (name.as_str(), *value))
        .collect();
    assert_eq!(
        counts,
        [
            ("svs/rejected/leak", 2.0),
            ("training/rows", 16.0),
            ("verifier/solve/correct", 6.0)
        ]
    );
    assert_eq!(
        (totals.steps, totals.publishes.total(), totals.publishes.sum()),
        (2, 2, 0.04)
    );
}
