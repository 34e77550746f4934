//! Lengths, finish reasons and verdicts of the trajectories of a step, as metrics.

use std::collections::BTreeMap;

use svs_engine::FinishReason;

use crate::eval::verdict_name;
use crate::trajectory::{Kind, Trajectory};

/// Graders that are named when many fail.
const MOST_NAMED: usize = 3;

/// Running minimum, maximum and sum.
#[derive(Debug, Clone, Copy, Default)]
struct Spread {
    count: u64,
    sum: f64,
    min: f64,
    max: f64,
}

impl Spread {
    fn add(&mut self, value: f64) {
        self.min = if self.count == 0 { value } else { self.min.min(value) };
        self.max = if self.count == 0 { value } else { self.max.max(value) };
        self.sum += value;
        self.count += 1;
    }

    fn put(&self, metrics: &mut BTreeMap<String, f64>, name: &str) {
        if self.count > 0 {
            metrics.insert(format!("{name}/mean"), self.sum / self.count as f64);
            metrics.insert(format!("{name}/min"), self.min);
            metrics.insert(format!("{name}/max"), self.max);
        }
    }
}

/// By how many versions the rows of an update are behind, under verl's names and our own.
pub(super) fn staleness(versions_behind: &[u64], metrics: &mut BTreeMap<String, f64>) {
    let mut spread = Spread::default();
    versions_behind.iter().for_each(|behind| spread.add(*behind as f64));
    spread.put(metrics, "training/off_policy/trajectory_staleness");
    metrics.insert("training/off_policy/max_versions_behind".into(), spread.max);
}

/// Counts of a step.
#[derive(Debug, Clone, Default)]
pub(super) struct Tally {
    responses: Spread,
    prompts: Spread,
    scores: Spread,
    truncated: u64,
    verdicts: BTreeMap<(Kind, &'static str), u64>,
    graded: u64,
    /// Findings without a reward, by grader.
    faults: BTreeMap<String, Faults>,
}

/// How often a grader failed.
#[derive(Debug, Clone, Default)]
struct Faults {
    count: u64,
    /// Why the first time, where the grader says.
    why: Option<String>,
}

impl Tally {
    /// Counts a trajectory as sampled and, unless it writes a problem (judged later), as graded.
    pub(super) fn count(&mut self, row: &Trajectory) {
        let sampled = row.logprobs.len();
        self.responses.add(sampled as f64);
        self.prompts.add((row.tokens().len() - sampled) as f64);
        self.truncated += u64::from(row.finish_reason == FinishReason::Length);
        let Some(finding) = row.verdicts.last() else { return };
        let verdict = (row.kind, verdict_name(finding.verdict));
        *self.verdicts.entry(verdict).or_default() += 1;
        if finding.reward.is_some() {
            self.graded += 1;
        } else {
            let faults = self.faults.entry(finding.grader.clone()).or_default();
            faults.count += 1;
            faults.why = faults.why.take().or_else(|| finding.explanation.clone());
        }
        if let (Kind::Solve | Kind::Client, Some(reward)) = (row.kind, finding.reward) {
            self.scores.add(reward);
        }
    }

    /// Tokens sampled.
    pub(super) fn sampled_tokens(&self) -> f64 {
        self.responses.sum
    }

    /// Responses that no grader could judge.
    pub(super) fn ungraded(&self) -> u64 {
        self.faults.values().map(|faults| faults.count).sum()
    }

    /// Responses that were judged.
    pub(super) fn graded(&self) -> u64 {
        self.graded
    }

    /// The graders that failed, how often, and why: those that failed most come first.
    pub(super) fn failed_graders(&self) -> String {
        let mut failed: Vec<(&String, &Faults)> = self.faults.iter().collect();
        failed.sort_by_key(|(_, faults)| std::cmp::Reverse(faults.count));
        let more = failed.len().saturating_sub(MOST_NAMED);
        let each = failed.into_iter().take(MOST_NAMED).map(|(grader, faults)| {
            let why = faults.why.as_deref().unwrap_or("it gives no reason");
            format!("{} by grader `{grader}` ({why})", faults.count)
        });
        let mut said: Vec<String> = each.collect();
        said.extend((more > 0).then(|| format!("the rest by {more} others")));
        said.join(", ")
    }

    /// Metrics under verl's names, verdicts under our own. `critic/score` is over original problems.
    pub(super) fn put(&self, metrics: &mut BTreeMap<String, f64>) {
        self.responses.put(metrics, "response_length");
        self.prompts.put(metrics, "prompt_length");
        self.scores.put(metrics, "critic/score");
        self.scores.put(metrics, "critic/rewards");
        let rows = self.responses.count.max(1) as f64;
        metrics.insert("response_length/clip_ratio".into(), self.truncated as f64 / rows);
        metrics.insert("perf/total_num_tokens".into(), self.responses.sum + self.prompts.sum);
        for name in [
            "correct",
            "wrong",
            "no_answer",
            "unparseable",
            "over_budget",
            "infrastructure",
        ] {
            let of_name = self.verdicts.iter().filter(|((_, verdict), _)| *verdict == name);
            let count: u64 = of_name.map(|(_, count)| count).sum();
            metrics.insert(format!("verifier/{name}"), count as f64);
        }
        for ((kind, verdict), count) in &self.verdicts {
            metrics.insert(format!("verifier/{}/{verdict}", kind.name()), *count as f64);
        }
    }
}
