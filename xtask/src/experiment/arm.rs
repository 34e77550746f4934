//! One run: trained up to each part of the budget, evaluated there, continued after an interruption.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use serde::{Deserialize, Serialize};
use svs_engine::load::LoadedModel;
use svs_engine::{EngineConfig, EngineHandle, WeightSet};
use svs_trainer::eval::{EvalConfig, evaluate};
use svs_trainer::run::config::Recipe;
use svs_trainer::run::{RunState, history, source};
use svs_trainer::svs::Prompts;
use svs_trainer::{Problem, TrainConfig, TrainerHandle, TrajectoryLog};

use super::plan::Plan;
use super::records::{self, Evaluation};

/// Name of the run in its arm's folder.
pub(super) const RUN: &str = "run";
/// Generated tokens so far.
pub(super) const GENERATED: &str = "training/generated_tokens";
/// Time between two looks at the trainer.
const POLL: Duration = Duration::from_millis(200);
/// Time between two lines of progress.
const REPORT: Duration = Duration::from_secs(20);
/// What requests under way get when an arm ends; there are none.
const GRACE: Duration = Duration::from_secs(5);

/// What is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Arm {
    /// The policy that both recipes begin with.
    Start,
    Grpo,
    Svs,
}

impl Arm {
    pub(super) const TRAINED: [Self; 2] = [Self::Grpo, Self::Svs];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Grpo => "grpo",
            Self::Svs => "svs",
        }
    }

    /// Folder of its run with `seed`.
    pub(super) fn folder(self, out: &Path, seed: u64) -> PathBuf {
        out.join(format!("{}-seed{seed}", self.name()))
    }
}

/// File of evaluations in an arm's folder.
pub(super) fn evaluations(folder: &Path) -> PathBuf {
    folder.join("evaluations.jsonl")
}

/// The policy that all runs begin with, and the engine that samples from it.
pub(super) struct Start {
    pub(super) model: LoadedModel,
    pub(super) engine: EngineConfig,
}

/// What all runs share.
pub(super) struct Bench {
    model: Arc<LoadedModel>,
    engine: EngineConfig,
    prompts: Prompts,
    config: TrainConfig,
    held_out: Vec<Problem>,
    samples: u32,
    out: PathBuf,
}

/// Engine and trainer of one run.
struct Stack {
    engine: EngineHandle,
    trainer: TrainerHandle,
}

impl Bench {
    /// Runs of `plan` that are measured on `held_out`.
    pub(super) fn new(start: Start, plan: &Plan, held_out: Vec<Problem>) -> anyhow::Result<Self> {
        Ok(Self {
            prompts: source::prompts(plan.config.prompts.as_ref(), &start.model)?,
            model: Arc::new(start.model),
            engine: start.engine,
            config: plan.config.clone(),
            held_out,
            samples: plan.samples,
            out: plan.out.clone(),
        })
    }

    /// Does what is missing of a run with evaluations at `due` tokens.
    pub(super) fn finish(&self, arm: Arm, seed: u64, due: &[u64]) -> anyhow::Result<()> {
        let folder = arm.folder(&self.out, seed);
        let made = records::read(&evaluations(&folder))?;
        let other = made
            .iter()
            .find(|made| made.samples != self.samples || made.correct.len() != self.held_out.len());
        if let Some(other) = other {
            bail!(
                "{} has evaluations of {} problems with {} samples; choose the same, or another --out",
                folder.display(),
                other.correct.len(),
                other.samples
            );
        }
        let missing: Vec<u64> = due
            .iter()
            .copied()
            .filter(|due| made.iter().all(|made| made.due_tokens != *due))
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        let stack = self.stack(&folder)?;
        for due in missing {
            if due > 0 {
                self.train(&stack, &folder, (arm, seed), due)?;
            }
            let evaluation = self.evaluate(&stack, &folder, (arm, seed), due)?;
            records::append(&evaluations(&folder), &evaluation)?;
        }
        stack.engine.shutdown(GRACE);
        Ok(())
    }

    fn stack(&self, folder: &Path) -> anyhow::Result<Stack> {
        std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        let weights = WeightSet::pack(&self.model.config, &self.model.params, 0, "base");
        let engine = EngineHandle::start(Arc::new(weights), self.model.tokenizer.clone(), self.engine.clone())?;
        let log = TrajectoryLog::open(&folder.join("trajectories.sqlite"))?;
        let trainer = TrainerHandle::new(engine.clone(), Arc::clone(&self.model), log, folder.to_path_buf());
        Ok(Stack { engine, trainer })
    }

    /// Goes on until `due` tokens are generated. The engine then serves the policy that came of it.
    fn train(&self, stack: &Stack, folder: &Path, (arm, seed): (Arm, u64), due: u64) -> anyhow::Result<()> {
        let config = TrainConfig {
            recipe: if arm == Arm::Svs { Recipe::Svs } else { Recipe::Grpo },
            seed,
            run_id: Some(RUN.into()),
            max_generated_tokens: Some(due),
            ..self.config.clone()
        };
        let resume = folder.join(RUN).join("config.toml").exists();
        stack.trainer.start(config, resume)?;
        let mut said: Option<Instant> = None;
        loop {
            let status = stack.trainer.status();
            if !matches!(status.state, RunState::Running) {
                break;
            }
            let metric = |name: &str| status.metrics.get(name).copied().unwrap_or(f64::NAN);
            if !status.metrics.is_empty() && said.is_none_or(|said| said.elapsed() > REPORT) {
                said = Some(Instant::now());
                println!(
                    "{} seed {seed}  step {:>3}  {:>8} of {due} tokens  accuracy {:.1} %  entropy {:.3}  {:.1} s a step",
                    arm.name(),
                    status.step,
                    metric(GENERATED),
                    100.0 * metric("critic/score/mean"),
                    metric("svs/solve/entropy"),
                    metric("timing_s/step"),
                );
            }
            std::thread::sleep(POLL);
        }
        let status = stack.trainer.wait();
        ensure!(
            status.state == RunState::Finished,
            "{} with seed {seed}: {}",
            arm.name(),
            status.error.unwrap_or_else(|| "it was stopped".into())
        );
        Ok(())
    }

    fn evaluate(&self, stack: &Stack, folder: &Path, (arm, seed): (Arm, u64), due: u64) -> anyhow::Result<Evaluation> {
        let (step, generated_tokens) = if due > 0 {
            stand(&folder.join(RUN), due)?
        } else {
            (0, 0)
        };
        let longest = self.config.rollout.max_response_length;
        let settings = EvalConfig {
            samples: self.samples,
            max_tokens: longest.context("the configuration needs rollout.max_response_length")?,
            greedy: false,
            seed,
            ..EvalConfig::default()
        };
        let began = Instant::now();
        let report = evaluate(&stack.engine, &self.held_out, &self.prompts, &settings, |_, _| {})?;
        ensure!(
            report.scores.iter().all(|score| score.graded == self.samples),
            "a sample of a held-out problem could not be graded"
        );
        println!(
            "{} seed {seed}  step {step:>3}  {generated_tokens:>8} tokens  held out: {}  ({:.0} s)",
            arm.name(),
            report.to_string().lines().skip(1).collect::<Vec<_>>().join(", "),
            began.elapsed().as_secs_f64()
        );
        Ok(Evaluation {
            arm,
            seed,
            due_tokens: due,
            generated_tokens,
            step,
            samples: self.samples,
            entropy: report.entropy.context("nothing was sampled")?,
            sampled_tokens: report.tokens,
            correct: report.scores.iter().map(|score| score.correct).collect(),
        })
    }
}

/// Steps and generated tokens of a run that has just reached `due` tokens.
fn stand(run: &Path, due: u64) -> anyhow::Result<(u64, u64)> {
    let records = history::read(run)?;
    let tokens = |record: &history::Record| record.metrics.get(GENERATED).map_or(0, |tokens| *tokens as u64);
    let last = records
        .last()
        .with_context(|| format!("{} has no step", run.display()))?;
    ensure!(
        tokens(last) >= due,
        "`steps` of the configuration ended the run before {due} tokens"
    );
    let passed = records.iter().rev().nth(1).is_some_and(|before| tokens(before) >= due);
    ensure!(
        !passed,
        "{} went past {due} tokens before; choose another --out",
        run.display()
    );
    Ok((last.step, tokens(last)))
}
