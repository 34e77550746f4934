//! What the policy can do, measured through the serving engine: held-out accuracy, and problems written from solutions.

use std::collections::BTreeMap;

use anyhow::Context;
use serde::Serialize;
use svs_engine::load::LoadedModel;
use svs_engine::text::ChatMessage;
use svs_engine::{Completion, EngineConfig, EngineError, EngineHandle, GenerateRequest, SamplingParams, WeightSet};
use svs_trainer::eval::{EvalConfig, EvalReport, evaluate};
use svs_trainer::fanout;
use svs_trainer::problems::procedural::{Generated, Generator, Split, nearest_template, problems};
use svs_trainer::seeds::derive;
use svs_trainer::svs::filter::ProblemFilter;
use svs_trainer::svs::{Prompts, SvsConfig, extract_problem};
use svs_verifier::{MathOptions, Verdict, grade_math};

/// Samples per prompt, as in training.
const SAMPLES: u32 = 8;
/// Longest solution and longest synthesis output, tokens.
const MAX_TOKENS: u32 = 96;
/// Prompts under way at once.
const IN_FLIGHT: usize = 64;
/// Seed of problems and samples.
const SEED: u64 = 20_001;

/// How many problems to measure on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Effort {
    /// Held-out problems to solve.
    pub(super) held_out: usize,
    /// Training-split problems that may seed synthesis.
    pub(super) seeds: usize,
}

/// Counts of writing problems from the policy's own correct solutions, by the rules of SvS.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(super) struct Synthesis {
    /// Problems solved 1 to 4 times of 8.
    pub(super) seeds: usize,
    /// Their distinct correct solutions.
    pub(super) contexts: usize,
    /// Synthesis outputs.
    pub(super) outputs: usize,
    /// Outputs with an extractable problem.
    pub(super) extracted: usize,
    /// Extracted problems that pass the filter and are solved 1 to 5 times of 8 with the original answer.
    pub(super) rewarded: usize,
    /// Rewarded problems whose template is not their seed's.
    pub(super) other_template: usize,
    /// Mean similarity of rewarded problems to the nearest template.
    pub(super) similarity: f64,
    /// Extracted problems by how many of 8 solutions have the original answer.
    pub(super) matches: BTreeMap<u32, usize>,
    /// Some rewarded problems with their seeds' questions.
    pub(super) examples: Vec<(String, String)>,
}

impl Synthesis {
    /// Shares of outputs extracted, of those rewarded, and of these with another template.
    pub(super) fn shares(&self) -> [f64; 3] {
        let share = |part: usize, whole: usize| if whole == 0 { 0.0 } else { part as f64 / whole as f64 };
        [
            share(self.extracted, self.outputs),
            share(self.rewarded, self.extracted),
            share(self.other_template, self.rewarded),
        ]
    }
}

/// The policy in an engine, with its prompts.
pub(super) struct Bench {
    engine: EngineHandle,
    prompts: Prompts,
}

impl Bench {
    pub(super) fn start(model: &LoadedModel, prompts: &Prompts) -> anyhow::Result<Self> {
        let weights = WeightSet::pack(&model.config, &model.params, 0, "tiny-policy");
        let config = EngineConfig {
            max_num_seqs: 256,
            max_num_batched_tokens: 1024,
            kv_cache_bytes: 256 << 20,
            ..EngineConfig::default()
        };
        let engine = EngineHandle::start(std::sync::Arc::new(weights), model.tokenizer.clone(), config)?;
        Ok(Self {
            engine,
            prompts: prompts.clone(),
        })
    }

    /// Accuracy on problems of unseen wordings and numbers.
    pub(super) fn held_out(&self, count: usize) -> anyhow::Result<EvalReport> {
        let config = EvalConfig {
            samples: SAMPLES,
            max_tokens: MAX_TOKENS,
            seed: SEED,
            in_flight: IN_FLIGHT,
            ..EvalConfig::default()
        };
        Ok(evaluate(
            &self.engine,
            &problems(Split::HeldOut, SEED, count),
            &self.prompts,
            &config,
            |_, _| {},
        )?)
    }

    /// Lets the policy solve fresh problems of the training split, write problems from its correct solutions of the
    /// hard ones, and solve those.
    pub(super) fn synthesis(&self, count: usize) -> anyhow::Result<Synthesis> {
        let svs = SvsConfig::default();
        let seeds: Vec<Generated> = Generator::new(SEED, Split::Train).take(count).collect();
        let solved = self.sample("solve", seeds.iter().map(|seed| self.solving(&seed.problem.question)))?;
        let mut found = Synthesis::default();
        let mut contexts: Vec<(&Generated, String)> = Vec::new();
        for (seed, completion) in seeds.iter().zip(&solved) {
            let mut correct: Vec<&str> = correct_texts(completion, &seed.problem.answer);
            if (1..=4).contains(&correct.len()) {
                found.seeds += 1;
                correct.sort_unstable();
                correct.dedup();
                contexts.extend(correct.into_iter().map(|text| (seed, text.to_owned())));
            }
        }
        found.contexts = contexts.len();
        let written = self.sample(
            "write",
            contexts.iter().map(|(_, text)| self.prompts.synthesis_messages(text)),
        )?;
        let mut filter = ProblemFilter::new(&svs);
        let mut candidates: Vec<(&Generated, String)> = Vec::new();
        for ((seed, _), completion) in contexts.iter().zip(&written) {
            for choice in &completion.choices {
                found.outputs += 1;
                let Ok(problem) = extract_problem(&choice.text) else {
                    continue;
                };
                found.extracted += 1;
                if filter
                    .check(problem, &seed.problem.question, &seed.problem.answer)
                    .is_ok()
                {
                    candidates.push((seed, problem.to_owned()));
                }
            }
        }
        let answers = self.sample("check", candidates.iter().map(|(_, problem)| self.solving(problem)))?;
        for ((seed, problem), completion) in candidates.iter().zip(&answers) {
            found.judge(seed, problem, correct_texts(completion, &seed.problem.answer).len());
        }
        found.similarity /= found.rewarded.max(1) as f64;
        Ok(found)
    }

    fn solving(&self, question: &str) -> Vec<ChatMessage> {
        self.prompts.solve_messages(question)
    }

    fn sample(
        &self,
        stage: &str,
        conversations: impl Iterator<Item = Vec<ChatMessage>>,
    ) -> anyhow::Result<Vec<Completion>> {
        let tokenizer = self.engine.tokenizer();
        let encoded = conversations.map(|messages| tokenizer.encode_chat(&messages, true));
        let prompts = encoded
            .collect::<Result<Vec<_>, _>>()
            .with_context(|| format!("prompts of stage {stage}"))?;
        let request = |(index, prompt): (usize, &Vec<u32>)| GenerateRequest {
            prompt: prompt.clone(),
            n: SAMPLES,
            sampling: SamplingParams {
                seed: Some(derive(&["tiny-policy", stage, &index.to_string()])),
                max_tokens: MAX_TOKENS,
                ..SamplingParams::default()
            },
            ..GenerateRequest::default()
        };
        let mut completions = Vec::with_capacity(prompts.len());
        fanout::run(
            &self.engine,
            prompts.iter().enumerate().map(request),
            IN_FLIGHT,
            |_, completion| {
                completions.push(completion);
                Ok::<(), EngineError>(())
            },
        )?;
        Ok(completions)
    }
}

impl Synthesis {
    /// Counts a synthetic problem of which `matches` solutions had the original answer.
    fn judge(&mut self, seed: &Generated, problem: &str, matches: usize) {
        let matches = u32::try_from(matches).unwrap_or(u32::MAX);
        *self.matches.entry(matches).or_default() += 1;
        if !(1..=5).contains(&matches) {
            return;
        }
        let nearest = nearest_template(problem);
        self.rewarded += 1;
        self.other_template += usize::from(nearest.template != seed.template);
        self.similarity += nearest.similarity;
        if self.examples.len() < 8 {
            self.examples.push((seed.problem.question.clone(), problem.to_owned()));
        }
    }
}

fn correct_texts<'a>(completion: &'a Completion, gold: &str) -> Vec<&'a str> {
    let is_correct = |text: &str| grade_math(text, gold, &MathOptions::default()).verdict == Verdict::Correct;
    let texts = completion.choices.iter().map(|choice| choice.text.as_str());
    texts.filter(|text| is_correct(text)).collect()
}
