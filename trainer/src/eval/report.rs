//! What an evaluation found: counts by problem, figures over all of them and by source.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use svs_engine::FinishReason;
use svs_engine::request::Choice;
use svs_verifier::Verdict;

use super::figures::{Figures, Resampling};
use super::votes::Ballot;
use super::{Estimate, EvalConfig};
use crate::problems::Problem;

/// Counts on one problem.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProblemScore {
    /// Problem id.
    pub id: String,
    /// Where the problem is from.
    pub source: String,
    /// Samples.
    pub samples: u32,
    /// Samples found correct.
    pub correct: u32,
    /// Samples graded; fewer than asked if the reference answer cannot be read.
    pub graded: u32,
    /// Graded samples by answer, in the order in which the answers first came; those that give none are left out.
    pub answers: Vec<u32>,
    /// Which of `answers` is right.
    pub right: Option<usize>,
    /// Tokens of the samples.
    pub tokens: u64,
    /// Samples cut at the limit.
    pub cut: u32,
    /// The greedy answer is correct; `None` if not asked or not graded.
    pub greedy: Option<bool>,
}

impl ProblemScore {
    /// Nothing counted yet.
    #[must_use]
    pub fn new(problem: &Problem) -> Self {
        Self {
            id: problem.id.clone(),
            source: problem.source.clone(),
            ..Self::default()
        }
    }

    /// Counts one sample; where the grader itself failed, only its length.
    pub(super) fn count(&mut self, choice: &Choice, verdict: Verdict, ballot: &mut Ballot) {
        self.samples += 1;
        self.tokens += choice.tokens.len() as u64;
        self.cut += u32::from(choice.finish_reason == FinishReason::Length);
        if verdict.reward().is_none() {
            return;
        }
        self.graded += 1;
        self.correct += u32::from(verdict == Verdict::Correct);
        if let Some((answer, right)) = ballot.vote(&choice.text, verdict) {
            self.answers.resize(self.answers.len().max(answer + 1), 0);
            self.answers[answer] += 1;
            self.right = self.right.or(right.then_some(answer));
        }
    }

    /// Graded samples that give no answer.
    pub(super) fn silent(&self) -> u32 {
        self.graded - self.answers.iter().sum::<u32>()
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
    /// Version of the weights evaluated.
    pub version: u64,
    /// Samples per problem.
    pub samples: u32,
    /// Their temperature.
    pub temperature: f32,
    /// Seed.
    pub seed: u64,
    /// Over all problems.
    #[serde(flatten)]
    pub overall: Figures,
    /// Over the problems of each source.
    pub sources: BTreeMap<String, Figures>,
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
    /// The report on what was counted under weights of `version`; the entropy of what was sampled is to be added.
    pub(super) fn new(
        config: &EvalConfig,
        version: u64,
        scores: Vec<ProblemScore>,
        verdicts: BTreeMap<String, u64>,
        tokens: u64,
    ) -> Self {
        let resampling = Resampling {
            resamples: config.resamples,
            seed: config.seed,
        };
        let ks = config.ks();
        let names: BTreeSet<&String> = scores.iter().map(|score| &score.source).collect();
        let of_source = |name: &String| {
            let own = scores.iter().filter(|score| score.source == *name);
            (name.clone(), Figures::of(own, &ks, resampling))
        };
        let sources = names.into_iter().map(of_source).collect();
        Self {
            version,
            samples: config.samples,
            temperature: config.temperature,
            seed: config.seed,
            overall: Figures::of(scores.iter(), &ks, resampling),
            sources,
            verdicts,
            tokens,
            entropy: None,
            scores,
        }
    }

    /// pass@k, if `k` was measured.
    #[must_use]
    pub fn pass(&self, k: u32) -> Option<Estimate> {
        self.overall.pass_at.get(&k).copied()
    }

    /// Samples without a reward, through no fault of the model: a gold that cannot be read, a machine or a judge that fails.
    /// They are part of no accuracy.
    #[must_use]
    pub fn ungraded(&self) -> u64 {
        let faults = self.verdicts.get(verdict_name(Verdict::Infrastructure));
        faults.copied().unwrap_or(0)
    }

    /// Whether there is no sample that was graded, so that no figure says anything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.verdicts.values().sum::<u64>() == self.ungraded()
    }

    /// Accuracies over all problems: name and estimate.
    #[must_use]
    pub fn rows(&self) -> Vec<(String, Estimate)> {
        self.overall.rows()
    }

    /// Means as metrics: `held_out/` over all problems, and by source under verl's names.
    #[must_use]
    pub fn metrics(&self) -> BTreeMap<String, f64> {
        let accuracies = self.rows().into_iter().map(|(name, estimate)| (name, estimate.mean));
        let all = accuracies.chain(self.overall.metrics(self.samples));
        let of_sources = self.sources.iter().flat_map(|(source, figures)| {
            let metrics = figures.metrics(self.samples).into_iter();
            metrics.map(move |(name, mean)| (format!("val-core/{source}/{name}"), mean))
        });
        // Last, so that a source of that name does not hide them.
        of_sources
            .chain(all.map(|(name, mean)| (format!("val-core/held_out/{name}"), mean)))
            .collect()
    }
}
