//! Evaluation against a running engine: accuracies, majorities, disagreement and lengths, with intervals, over all
//! problems and by source, the same for the same seed.

pub mod estimate;
mod figures;
mod report;
mod table;
pub mod votes;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use svs_engine::request::BACKGROUND_PRIORITY;
use svs_engine::text::TextError;
use svs_engine::{EngineError, EngineHandle, GenerateRequest, SamplingParams};
use svs_verifier::MathOptions;
use svs_verifier::spec::GraderSpec;

use crate::fanout;
use crate::problems::Problem;
use crate::reward::{Reward, RewardConfig, Task, grade_all};
use crate::run::TrainConfig;
use crate::seeds::derive;
use crate::surprisal::Surprisal;
use crate::svs::Prompts;
use estimate::ladder;
use votes::Ballot;

pub use estimate::Estimate;
pub use figures::Figures;
pub use report::{EvalReport, ProblemScore, verdict_name};

/// Most values of k.
const MAX_KS: usize = 64;

/// Errors of an evaluation.
#[derive(Debug, thiserror::Error)]
pub enum EvalError {
    /// A setting is out of range; `field` is its name.
    #[error("{field}: {reason}")]
    Setting {
        /// Name of the setting.
        field: &'static str,
        /// What is wrong and what is allowed.
        reason: String,
    },
    /// A prompt cannot be made of a problem.
    #[error("problem `{problem}`: {error}")]
    Prompt {
        /// Its id.
        problem: String,
        /// What the template or tokenizer said.
        error: TextError,
    },
    /// The engine refused or failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

/// How to evaluate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EvalConfig {
    /// Samples per problem.
    pub samples: u32,
    /// The k of pass@k, avg@k and maj@k, each at most `samples`; empty takes the powers of two and `samples`.
    pub k: Vec<u32>,
    /// Temperature of the samples, > 0.
    pub temperature: f32,
    /// Nucleus mass in (0, 1].
    pub top_p: f32,
    /// Longest response, tokens.
    pub max_tokens: u32,
    /// Also answer each problem once greedily.
    pub greedy: bool,
    /// Seed of samples and intervals.
    pub seed: u64,
    /// Resamples of the intervals.
    pub resamples: usize,
    /// Problems in the engine's queue at once.
    pub in_flight: usize,
    /// Where mathematics is graded by default, only a boxed answer counts, and exactly one distinct candidate.
    pub strict: bool,
    /// Grader of problems that bring none.
    pub reward: RewardConfig,
    /// Version or label of the weights; `None` is the policy served when the evaluation begins. They are kept to its end,
    /// whatever is published meanwhile.
    pub weights: Option<String>,
}

impl Default for EvalConfig {
    fn default() -> Self {
        Self {
            samples: 8,
            k: Vec::new(),
            temperature: 1.0,
            top_p: 1.0,
            max_tokens: 1024,
            greedy: true,
            seed: 0,
            resamples: 2000,
            in_flight: 32,
            strict: false,
            reward: RewardConfig::default(),
            weights: None,
        }
    }
}

impl EvalConfig {
    /// As a run of this configuration evaluates, with responses of at most `max_tokens`.
    #[must_use]
    pub fn of_run(config: &TrainConfig, max_tokens: u32) -> Self {
        Self {
            samples: config.eval.samples,
            k: config.eval.k.clone(),
            max_tokens,
            seed: config.seed,
            in_flight: config.rollout.max_groups_in_flight,
            strict: config.rollout.strict_grading,
            reward: config.reward.clone(),
            ..Self::default()
        }
    }

    /// The k reported, ascending.
    #[must_use]
    pub fn ks(&self) -> Vec<u32> {
        if self.k.is_empty() {
            return ladder(self.samples);
        }
        let mut ks = self.k.clone();
        ks.sort_unstable();
        ks.dedup();
        ks
    }

    /// Checks ranges.
    ///
    /// # Errors
    /// [`EvalError::Setting`].
    pub fn validate(&self) -> Result<(), EvalError> {
        let fail = |field, reason: &str| {
            Err(EvalError::Setting {
                field,
                reason: reason.into(),
            })
        };
        match self {
            config if config.k.len() > MAX_KS => fail("k", &format!("has more than {MAX_KS} entries")),
            config if config.k.contains(&0) => fail("k", "must be at least 1"),
            config if config.samples == 0 => fail("samples", "must be at least 1"),
            config if config.k.iter().any(|k| *k > config.samples) => {
                let most = config.k.iter().max().copied().unwrap_or(0);
                fail(
                    "k",
                    &format!("{most} exceeds the samples per problem, {}", config.samples),
                )
            }
            config if !(config.temperature > 0.0 && config.temperature <= 2.0) => {
                fail("temperature", "must lie in (0, 2]; greedy accuracy is measured besides")
            }
            config if !(config.top_p > 0.0 && config.top_p <= 1.0) => fail("top_p", "must lie in (0, 1]"),
            config if config.max_tokens == 0 => fail("max_tokens", "must be at least 1"),
            config if config.in_flight == 0 => fail("in_flight", "must be at least 1"),
            config if !(100..=1_000_000).contains(&config.resamples) => fail("resamples", "must lie in 100..=1000000"),
            config => match config.reward.validate() {
                Err((field, reason)) => fail(field, &reason),
                Ok(()) => Ok(()),
            },
        }
    }
}

/// Evaluates weights that `engine` holds on `problems`; `progress` hears how many requests of how many are done.
///
/// # Errors
/// Any [`EvalError`].
pub fn evaluate(
    engine: &EngineHandle,
    problems: &[Problem],
    prompts: &Prompts,
    config: &EvalConfig,
    mut progress: impl FnMut(usize, usize),
) -> Result<EvalReport, EvalError> {
    config.validate()?;
    if problems.is_empty() {
        return Err(EvalError::Setting {
            field: "problems",
            reason: "there are none".into(),
        });
    }
    let encode = |problem: &Problem| {
        let encoded = engine.tokenizer().encode_chat(&prompts.messages_of(problem), true);
        encoded.map_err(|error| EvalError::Prompt {
            problem: problem.id.clone(),
            error,
        })
    };
    let encoded: Vec<Vec<u32>> = problems.iter().map(encode).collect::<Result<_, _>>()?;
    let rounds = if config.greedy { 2 } else { 1 };
    let total = problems.len() * rounds;
    let reward = Reward::new(&config.reward, config.strict).map_err(|error| EvalError::Setting {
        field: "reward.grader",
        reason: error.to_string(),
    })?;
    for problem in problems {
        if let Some(Err(reason)) = problem.grader.as_ref().map(|grader| config.reward.declares(grader)) {
            return Err(EvalError::Setting {
                field: "problems",
                reason: format!("the grader of problem `{}`: {reason}", problem.id),
            });
        }
    }
    reward
        .prepare(&config.reward, problems)
        .map_err(|reason| EvalError::Setting {
            field: "reward.code",
            reason,
        })?;
    // Held to the end, so that every request finds them; named by version, so that no publish moves a request.
    let weights = engine.weights().resolve(config.weights.as_deref())?;
    let mut scores: Vec<ProblemScore> = problems.iter().map(ProblemScore::new).collect();
    let mut verdicts: BTreeMap<String, u64> = BTreeMap::new();
    let mut tokens = 0u64;
    let mut surprisal = Surprisal::default();
    for round in 0..rounds {
        let requests = problems
            .iter()
            .zip(&encoded)
            .map(|(problem, prompt)| request(config, weights.version, problem, prompt, round));
        fanout::run(engine, requests, config.in_flight, |at, completion| {
            let task = Task::of(&problems[at]);
            let judge = reward.judge(&task);
            let mut ballot = ballot(config, &problems[at]);
            let cases = completion
                .choices
                .iter()
                .map(|choice| (&judge, choice.text.as_str(), &task));
            let findings = grade_all(&cases.collect::<Vec<_>>());
            for (choice, finding) in completion.choices.iter().zip(findings) {
                tokens += choice.tokens.len() as u64;
                let verdict = finding.verdict;
                match round {
                    0 => {
                        surprisal.add(&choice.logprobs);
                        *verdicts.entry(report::verdict_name(verdict).into()).or_default() += 1;
                        scores[at].count(choice, verdict, &mut ballot);
                    }
                    _ => scores[at].greedy = verdict.reward().map(|reward| reward > 0.5),
                }
            }
            progress(round * problems.len() + at + 1, total);
            Ok::<(), EvalError>(())
        })?;
    }
    Ok(EvalReport {
        entropy: surprisal.mean(),
        ..EvalReport::new(config, weights.version, scores, verdicts, tokens)
    })
}

/// How the answers to a problem are told apart: as its grader reads them, if that is mathematics.
fn ballot(config: &EvalConfig, problem: &Problem) -> Ballot {
    let ours = MathOptions {
        strict: config.strict,
        max_steps: config.reward.max_steps,
        ..MathOptions::default()
    };
    match problem.grader.as_deref().or(config.reward.grader.as_ref()) {
        None => Ballot::new(&ours, false),
        Some(GraderSpec::Math(spec)) => Ballot::new(&spec.options, false),
        Some(_) => Ballot::new(&ours, true),
    }
}

fn request(config: &EvalConfig, version: u64, problem: &Problem, prompt: &[u32], round: usize) -> GenerateRequest {
    let greedy = round == 1;
    let sampling = SamplingParams {
        temperature: if greedy { 0.0 } else { config.temperature },
        top_p: if greedy { 1.0 } else { config.top_p },
        seed: Some(derive(&["eval", &config.seed.to_string(), &problem.id])),
        max_tokens: config.max_tokens,
        ..SamplingParams::default()
    };
    let n = if greedy { 1 } else { config.samples };
    GenerateRequest {
        prompt: prompt.to_vec(),
        n,
        sampling,
        weights: Some(version.to_string()),
        cache_salt: None,
        priority: BACKGROUND_PRIORITY,
        ..GenerateRequest::default()
    }
}

#[cfg(test)]
mod tests;
