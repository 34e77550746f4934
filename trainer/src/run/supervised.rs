//! The recipe `sft`: a step learns given answers, by the same forward, backward and optimizer as rollouts are learned by.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use svs_engine::train::TrainWeights;
use svs_engine::{EngineHandle, Params};

use super::runner::Runner;
use super::{TrainConfig, TrainError, TrainerHandle, epochs, skipped};
use crate::crash;
use crate::policy::{GRADIENT_NORM, SkippedRow, SkippedStep, judged, warn};
use crate::sft::{self, Conversation, Example, visit_conversations};

/// What a supervised run learns, and what it measures its loss on.
#[derive(Debug)]
pub(super) struct Examples {
    training: Vec<Conversation>,
    validation: Vec<Conversation>,
}

impl Examples {
    /// Reads the files of `config`.
    ///
    /// # Errors
    /// [`TrainError::Config`] naming the key, and the file and line that cannot be used.
    pub(super) fn read(config: &TrainConfig, engine: &EngineHandle) -> Result<Self, TrainError> {
        let read = |files: &[PathBuf], field: &str| {
            let mut found = Vec::new();
            for file in files {
                found.extend(conversations(file, engine).map_err(|reason| TrainError::Config {
                    field: field.into(),
                    reason,
                })?);
            }
            Ok::<_, TrainError>(found)
        };
        let mut training = read(&config.problems.files, "problems.files")?;
        training.truncate(config.problems.limit.unwrap_or(usize::MAX));
        let mut validation = match config.eval.test_freq {
            0 => Vec::new(),
            _ => read(&config.eval.files, "eval.files")?,
        };
        validation.truncate(config.eval.limit);
        Ok(Self { training, validation })
    }

    /// Positions of the conversations of a step, the first `drawn` being learned. A batch ends where a pass ends, so that
    /// every pass learns each of them once.
    fn batch(&self, config: &TrainConfig, drawn: u64) -> Vec<usize> {
        let all = self.training.len();
        let left = all - usize::try_from(drawn % all as u64).unwrap_or(0);
        epochs::positions(all, drawn, config.problems.train_batch_size.min(left), config.seed)
    }
}

fn conversations(path: &Path, engine: &EngineHandle) -> Result<Vec<Conversation>, String> {
    let mut found = Vec::new();
    visit_conversations(path, engine.tokenizer(), engine.max_model_len(), &mut |conversation| {
        found.push(conversation);
        Ok(())
    })
    .map_err(|error| error.to_string())?;
    Ok(found)
}

fn turns(conversations: &[Conversation], which: impl IntoIterator<Item = usize>) -> Vec<&Example> {
    which.into_iter().flat_map(|at| &conversations[at]).collect()
}

impl TrainerHandle {
    /// Reads a file that a supervised run would learn, without starting one, as long as `goes_on` says so; one conversation
    /// is in memory at a time.
    ///
    /// # Errors
    /// [`TrainError::Run`] naming the file and the line that cannot be used, or at which it was to end.
    pub fn try_examples(&self, path: &Path, goes_on: &dyn Fn() -> bool) -> Result<(), TrainError> {
        let engine = &self.surroundings().engine;
        visit_conversations(
            path,
            engine.tokenizer(),
            engine.max_model_len(),
            &mut |_| match goes_on() {
                true => Ok(()),
                false => Err("the reading was ended".into()),
            },
        )
        .map_err(|error| TrainError::Run(error.to_string()))
    }
}

impl Runner {
    /// Learns the next batch of `examples` and publishes what came out.
    pub(super) fn learn(&mut self, step: u64, examples: &Examples) -> Result<BTreeMap<String, f64>, TrainError> {
        self.control.phase("update");
        let lane = self.around.engine.training_computes();
        let began = Instant::now();
        let positions = examples.batch(&self.memory.config, self.memory.drawn);
        let batch = turns(&examples.training, positions.iter().copied());
        let mut metrics = self.descend(step, &batch)?;
        metrics.insert("training/conversations".into(), positions.len() as f64);
        metrics.insert("timing_s/update_actor".into(), began.elapsed().as_secs_f64());
        if metrics["training/optimizer_steps"] > 0.0 {
            self.publish(step, lane, &mut metrics)?;
        }
        crash::point(crash::Point::Mark);
        self.memory.step = step;
        self.memory.drawn += positions.len() as u64;
        Ok(metrics)
    }

    /// One optimizer step down the loss of `batch`.
    fn descend(&mut self, step: u64, batch: &[&Example]) -> Result<BTreeMap<String, f64>, TrainError> {
        let budget = self.memory.config.algorithm.ppo_max_token_len;
        let weights = TrainWeights::new(self.policy.current(), self.policy.params());
        let mut grads = Params::zeros(self.policy.params().layout.clone());
        let (control, mut done) = (&self.control, 0);
        let computed = sft::gradients(&weights, batch, budget, &mut grads, |examples| {
            done += examples;
            control.progress(done, batch.len());
        });
        drop(weights);
        let (loss, cause) = judged(computed)?;
        crash::point(crash::Point::Backward);
        let (version, optim) = (self.policy.version(), &self.memory.config.optim);
        let applied = match cause {
            None => self.policy.step(&grads, optim),
            Some(_) => self.policy.skip(optim),
        };
        if applied.applied {
            self.policy.moved();
        } else {
            let cause = cause.unwrap_or_else(|| GRADIENT_NORM.to_owned());
            warn(&cause, loss, applied.grad_norm);
            self.memory.skipped_steps += 1;
            let skipped = [SkippedStep {
                cause,
                grad_norm: applied.grad_norm.to_string(),
                loss: loss.to_string(),
                version,
                rows: batch.iter().map(|example| row(example)).collect(),
                ..SkippedStep::default()
            }];
            skipped::record(
                &self.folder,
                step,
                &skipped,
                self.memory.skipped_steps,
                &self.memory.config,
            )?;
        }
        let targets: usize = batch.iter().map(|example| example.target.len()).sum();
        let tokens: usize = batch.iter().map(|example| example.prompt.len()).sum::<usize>() + targets;
        let measured = [
            ("train/loss", loss),
            ("actor/grad_norm", applied.grad_norm),
            ("actor/lr", applied.lr),
            ("training/rows", batch.len() as f64),
            ("training/tokens", targets as f64),
            ("perf/total_num_tokens", tokens as f64),
            ("training/optimizer_steps", f64::from(u8::from(applied.applied))),
            ("training/skipped_steps", f64::from(u8::from(!applied.applied))),
        ];
        Ok(measured.map(|(name, value)| (name.to_owned(), value)).into())
    }

    /// The loss on what is held out, of the weights of now.
    pub(super) fn validate(&self, examples: &Examples, metrics: &mut BTreeMap<String, f64>) -> Result<(), TrainError> {
        let _lane = self.around.engine.training_computes();
        let began = Instant::now();
        let batch = turns(&examples.validation, 0..examples.validation.len());
        let (budget, mut done) = (self.memory.config.algorithm.ppo_max_token_len, 0);
        let loss = sft::mean_loss(&self.policy.current(), &batch, budget, |examples| {
            done += examples;
            self.control.progress(done, batch.len());
        })?;
        metrics.insert("val/loss".into(), loss);
        metrics.insert("timing_s/testing".into(), began.elapsed().as_secs_f64());
        Ok(())
    }
}

/// An example as the record of a step that was not taken has it.
fn row(example: &Example) -> SkippedRow {
    let sequence = sft::sequence(example);
    SkippedRow {
        tokens: sequence.tokens,
        scored: sequence.scored,
        temperature: sequence.temperature,
        weight: 1.0,
        ..SkippedRow::default()
    }
}
