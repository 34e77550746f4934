//! What an evaluation found, as JSON and as a table.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use svs_verifier::Verdict;

use super::Estimate;
use crate::problems::Problem;

/// Counts on one problem.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProblemScore {
    /// Problem id.
    pub id: String,
    /// Samples found correct.
    pub correct: u32,
    /// Samples graded; fewer than asked if the reference answer cannot be read.
    pub graded: u32,
    /// The greedy answer is correct; `None` if not asked or not graded.
    pub greedy: Option<bool>,
}

impl ProblemScore {
    /// Nothing counted yet.
    #[must_use]
    pub fn new(problem: &Problem) -> Self {
        Self {
            id: problem.id.clone(),
            correct: 0,
            graded: 0,
            greedy: None,
        }
    }

    /// Counts one sample; the grader's own faults do not count.
    pub fn count(&mut self, verdict: Verdict) {
        if verdict.reward().is_some() {
            self.graded += 1;
            self.correct += u32::from(verdict == Verdict::Correct);
        }
    }
}

/// Name of a verdict in reports and metrics, as it is serialised.
#[must_use]
pub fn verdict_name(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Correct => "correct",
        Verdict::Wrong => "wrong",
        Verdict::NoAnswer => "no_answer",
        Verdict::Unparseable => "unparseable",
        Verdict::OverBudget => "over_budget",
        Verdict::Infrastructure => "infrastructure",
    }
}

/// The figures of an evaluation. Nothing in it depends on the clock: the same weights and seed give the same report.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EvalReport {
    /// Problems evaluated.
    pub problems: usize,
    /// Samples per problem.
    pub samples: u32,
    /// Their temperature.
    pub temperature: f32,
    /// Seed.
    pub seed: u64,
    /// pass@k by k, k = 1 being the mean accuracy of all samples. Unbiased; never beyond the samples.
    pub pass_at: BTreeMap<u32, Estimate>,
    /// Accuracy of the greedy answers.
    pub greedy: Option<Estimate>,
    /// Verdicts on the samples.
    pub verdicts: BTreeMap<String, u64>,
    /// Tokens generated.
    pub tokens: u64,
    /// Mean of -logprob over the tokens of the samples, nats: what the sampling distribution's entropy is on average.
    #[serde(default)]
    pub entropy: Option<f64>,
    /// Counts by problem, in order.
    pub scores: Vec<ProblemScore>,
}

impl EvalReport {
    /// pass@k, if `k` was measured.
    #[must_use]
    pub fn pass(&self, k: u32) -> Option<Estimate> {
        self.pass_at.get(&k).copied()
    }

    /// Rows of a table: name and estimate.
    #[must_use]
    pub fn rows(&self) -> Vec<(String, Estimate)> {
        let greedy = self.greedy.map(|estimate| ("greedy".to_owned(), estimate));
        let passes = self
            .pass_at
            .iter()
            .map(|(k, estimate)| (format!("pass@{k}"), *estimate));
        passes.clone().take(1).chain(greedy).chain(passes.skip(1)).collect()
    }
}

impl fmt::Display for EvalReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} problems, {} samples each at temperature {}, seed {}",
            self.problems, self.samples, self.temperature, self.seed
        )?;
        for (name, estimate) in self.rows() {
            let Estimate { mean, lower, upper, .. } = estimate;
            writeln!(
                f,
                "{name:<8} {:6.2} %   [{:.2}, {:.2}]",
                100.0 * mean,
                100.0 * lower,
                100.0 * upper
            )?;
        }
        if let Some(entropy) = self.entropy {
            writeln!(f, "{:<8} {entropy:6.3} nats per token", "entropy")?;
        }
        let verdicts = self
            .verdicts
            .iter()
            .map(|(verdict, count)| format!("{verdict} {count}"));
        write!(f, "verdicts: {}", verdicts.collect::<Vec<_>>().join(", "))
    }
}
