//! The figures over a set of problems, each with its interval.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};

use super::estimate::{Estimate, bootstrap, pass_at_k};
use super::report::ProblemScore;
use super::votes::{entropy, maj_at_k};
use crate::seeds::derive;

/// What an evaluation found over some problems. Means are over problems, intervals from resampling them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// Problems.
    pub problems: usize,
    /// pass@k by k, k = 1 being the mean accuracy of all samples. Unbiased; never beyond the samples.
    #[serde(deserialize_with = "by_k")]
    pub pass_at: BTreeMap<u32, Estimate>,
    /// avg@k by k: the mean accuracy of k samples, averaged over all draws of k, and so the same for every k.
    #[serde(deserialize_with = "by_k")]
    pub avg_at: BTreeMap<u32, Estimate>,
    /// maj@k by k: how often the most frequent answer of k samples is right, averaged over all draws of k. Samples without
    /// an answer have no vote; of answers with equally many votes, the one that came first among all samples is chosen.
    #[serde(deserialize_with = "by_k")]
    pub maj_at: BTreeMap<u32, Estimate>,
    /// Accuracy of the greedy answers.
    pub greedy: Option<Estimate>,
    /// Entropy of the answers to a problem, nats, over problems with an answer.
    pub answer_entropy: Option<Estimate>,
    /// Share of the graded samples that give an answer.
    pub answered: Option<Estimate>,
    /// Length of a response, tokens.
    pub response_length: Option<Estimate>,
    /// Share of responses cut at the limit.
    pub clip_ratio: Option<Estimate>,
}

/// JSON keys are strings; within a flattened struct serde does not read numbers from them.
fn by_k<'de, D: Deserializer<'de>>(from: D) -> Result<BTreeMap<u32, Estimate>, D::Error> {
    let read = BTreeMap::<String, Estimate>::deserialize(from)?;
    let parsed = read.into_iter().map(|(k, estimate)| Ok((k.parse()?, estimate)));
    parsed
        .collect::<Result<_, std::num::ParseIntError>>()
        .map_err(serde::de::Error::custom)
}

/// How intervals are drawn.
#[derive(Debug, Clone, Copy)]
pub(super) struct Resampling {
    pub(super) resamples: usize,
    pub(super) seed: u64,
}

impl Resampling {
    /// The mean of `value` over the problems that have one; `name` seeds the draws.
    fn over<'a>(
        self,
        name: &[&str],
        scores: impl Iterator<Item = &'a ProblemScore>,
        value: impl Fn(&ProblemScore) -> Option<f64>,
    ) -> Option<Estimate> {
        let values: Vec<f64> = scores.filter_map(value).collect();
        let seed = self.seed.to_string();
        let (first, rest) = name.split_at(1);
        bootstrap(
            &values,
            self.resamples,
            derive(&[first, &[seed.as_str()], rest].concat()),
        )
    }
}

impl Figures {
    /// The figures over `scores` at each of `ks`.
    pub(super) fn of<'a>(
        scores: impl Iterator<Item = &'a ProblemScore> + Clone,
        ks: &[u32],
        resampling: Resampling,
    ) -> Self {
        type Value<'v> = &'v dyn Fn(&ProblemScore) -> Option<f64>;
        let over = |name: &str, value: Value<'_>| resampling.over(&[name], scores.clone(), value);
        let at = |name: &str, value: fn(&ProblemScore, u32) -> Option<f64>| {
            let estimate = |k: u32| resampling.over(&[name, &k.to_string()], scores.clone(), |score| value(score, k));
            ks.iter().filter_map(|&k| Some((k, estimate(k)?))).collect()
        };
        let accuracy = over("avg", &|score| share(score.correct, score.graded));
        let share_of =
            |count: u64, score: &ProblemScore| (score.samples > 0).then(|| count as f64 / f64::from(score.samples));
        Self {
            problems: scores.clone().count(),
            pass_at: at("pass", |score, k| pass_at_k(score.graded, score.correct, k)),
            avg_at: ks.iter().filter_map(|&k| Some((k, accuracy?))).collect(),
            maj_at: at("maj", |score, k| {
                maj_at_k(&score.answers, score.silent(), score.right, k)
            }),
            greedy: over("greedy", &|score| score.greedy.map(|hit| f64::from(u8::from(hit)))),
            answer_entropy: over("answer_entropy", &|score| entropy(&score.answers)),
            answered: over("answered", &|score| share(score.graded - score.silent(), score.graded)),
            response_length: over("response_length", &|score| share_of(score.tokens, score)),
            clip_ratio: over("clip_ratio", &|score| share_of(u64::from(score.cut), score)),
        }
    }

    /// Accuracies as rows of a table: name and estimate.
    #[must_use]
    pub fn rows(&self) -> Vec<(String, Estimate)> {
        let passes = named("pass", &self.pass_at);
        let greedy = self.greedy.map(|estimate| ("greedy".to_owned(), estimate));
        passes.clone().take(1).chain(greedy).chain(passes.skip(1)).collect()
    }

    /// Means by metric name: verl's for what verl measures too, drawn without replacement where verl draws with.
    pub(crate) fn metrics(&self, samples: u32) -> BTreeMap<String, f64> {
        let accuracy = self.avg_at.values().next().copied();
        let single = [
            (format!("acc/mean@{samples}"), accuracy),
            ("greedy".into(), self.greedy),
            ("answer_entropy".into(), self.answer_entropy),
            ("answered".into(), self.answered),
            ("response_length/mean".into(), self.response_length),
            ("response_length/clip_ratio".into(), self.clip_ratio),
        ];
        let best = self
            .pass_at
            .iter()
            .map(|(k, estimate)| (format!("acc/best@{k}/mean"), *estimate));
        let majority = self
            .maj_at
            .iter()
            .map(|(k, estimate)| (format!("acc/maj@{k}/mean"), *estimate));
        let single = single
            .into_iter()
            .filter_map(|(name, estimate)| Some((name, estimate?)));
        single
            .chain(best)
            .chain(majority)
            .map(|(name, estimate)| (name, estimate.mean))
            .collect()
    }
}

/// Estimates by k as rows.
pub(super) fn named<'a>(
    name: &'a str,
    at: &'a BTreeMap<u32, Estimate>,
) -> impl Iterator<Item = (String, Estimate)> + Clone + 'a {
    at.iter().map(move |(k, estimate)| (format!("{name}@{k}"), *estimate))
}

fn share(part: u32, whole: u32) -> Option<f64> {
    (whole > 0).then(|| f64::from(part) / f64::from(whole))
}
