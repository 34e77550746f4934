//! The loop: problems, rollouts, stages, update, publish, checkpoint.

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use svs_engine::load::LoadedModel;
use svs_engine::{EngineHandle, WeightSet};

use super::TrainError;
use super::batch::{Batch, Note};
use super::behind::behind;
use super::changes::Pending;
use super::clients::Waited;
use super::config::{Mode, ProblemSource};
use super::control::{Control, Next};
use super::history::{History, Record};
use super::lock::RunLock;
use super::memory::Memory;
use super::sampling::{Ahead, Sampling, Wanted};
use super::supervised::Examples;
use super::tensorboard::EventFile;
use super::{shaped, skipped, tally, ungraded};
use crate::checkpoint::CheckpointStore;
use crate::clock::unix_s;
use crate::crash;
use crate::hidden::{Bonuses, Means};
use crate::log::TrajectoryLog;
use crate::policy::{Policy, UpdateBatch};
use crate::problems::Problem;
use crate::svs::band::Score;
use crate::trajectory::Group;

/// What a trainer works with.
#[derive(Debug)]
pub(super) struct Surroundings {
    pub(super) engine: EngineHandle,
    pub(super) model: Arc<LoadedModel>,
    pub(super) log: TrajectoryLog,
    /// Folder of run folders.
    pub(super) runs: PathBuf,
}

/// A run, opened and ready to step.
#[derive(Debug)]
pub(super) struct Runner {
    pub(super) around: Arc<Surroundings>,
    pub(super) control: Arc<Control>,
    /// Keeps other processes off the run's folder.
    pub(super) _lock: RunLock,
    pub(super) folder: PathBuf,
    pub(super) memory: Memory,
    pub(super) policy: Policy,
    /// Weights of the KL reference, if the objective has one.
    pub(super) reference: Option<Arc<WeightSet>>,
    pub(super) sampling: Arc<Sampling>,
    /// The next batch, in the mode `async`.
    pub(super) ahead: Option<Ahead>,
    /// Changes of the configuration that are still to be made again, by step.
    pub(super) replayed: VecDeque<Pending>,
    /// What the recipe `sft` learns; `None` for the others.
    pub(super) examples: Option<Arc<Examples>>,
    /// Problems of evaluations.
    pub(super) held_out: Vec<Problem>,
    pub(super) checkpoints: CheckpointStore,
    /// Step of the newest checkpoint, if there is one.
    pub(super) saved: Option<u64>,
    /// What writing the checkpoint after the last step took; the next step reports it.
    pub(super) saving_s: Option<f64>,
    pub(super) history: History,
    /// Steps in a row, since this start, of which nothing could be graded.
    pub(super) ungraded_steps: u64,
    /// The metrics again, for TensorBoard.
    pub(super) events: Option<EventFile>,
}

impl Runner {
    /// Steps until the end, a stop, or an error; then writes a checkpoint and the model.
    pub(super) fn run(mut self) -> Result<(), TrainError> {
        loop {
            self.replay()?;
            if self.memory.step >= self.memory.config.steps || self.memory.is_spent() {
                break;
            }
            let go_on = match self.control.next() {
                Next::Stop => false,
                Next::Step => self.step()? != Waited::Nothing,
                Next::Do(asked) => self.perform(asked)?,
            };
            if !go_on {
                break;
            }
        }
        // A batch begun for a step that does not come goes on sampling until it is dropped.
        self.ahead = None;
        if self.saved != Some(self.memory.step) {
            self.checkpoint()?;
        }
        self.control.phase("save");
        let model = self.folder.join("model");
        svs_engine::load::save(&model, self.policy.model(), self.policy.params())
            .and_then(|()| self.policy.save_adapter(&self.folder.join("adapter")))
            .map_err(|error| TrainError::Run(error.to_string()))?;
        self.save_wording(&model.join("svs.json"))
    }

    /// Gives the saved model the run's own wording, so that serving and evaluating it ask as the run did.
    fn save_wording(&self, path: &Path) -> Result<(), TrainError> {
        if self.memory.config.prompts.is_none() {
            return Ok(());
        }
        let wording = serde_json::json!({ "prompts": self.sampling.prompts });
        std::fs::write(path, wording.to_string())
            .map_err(|error| TrainError::Run(format!("{}: {error}", path.display())))
    }

    /// One step, if there is something to train on.
    pub(super) fn step(&mut self) -> Result<Waited<()>, TrainError> {
        let step = self.memory.step + 1;
        let began = Instant::now();
        let mut metrics = match self.examples.clone() {
            Some(examples) => behind(self.memory.config.train_share, || self.learn(step, &examples))?,
            None => match self.reinforce(step)? {
                Waited::Found(metrics) => metrics,
                other => return Ok(other.map(drop)),
            },
        };
        self.evaluate(step, &mut metrics)?;
        metrics.extend(self.saving_s.take().map(|s| ("timing_s/save_checkpoint".into(), s)));
        let step_s = began.elapsed().as_secs_f64();
        let tokens = metrics.get("perf/total_num_tokens").copied().unwrap_or(0.0);
        metrics.insert("perf/throughput".into(), tokens / step_s.max(1e-9));
        metrics.insert("timing_s/step".into(), step_s);
        metrics.insert("training/global_step".into(), step as f64);
        metrics.retain(|_, value| value.is_finite());
        crash::point(crash::Point::History);
        self.history.append(&Record {
            step,
            metrics: metrics.clone(),
        })?;
        if let Some(events) = &mut self.events {
            events.append(step, &metrics)?;
        }
        // After the line in the history: a checkpoint stands for all lines up to its step.
        let mut saved = Ok(());
        if step.is_multiple_of(self.memory.config.checkpoint.save_freq) {
            let began = Instant::now();
            saved = self.checkpoint();
            self.saving_s = Some(began.elapsed().as_secs_f64());
        }
        // Done and served, whether or not it could be saved.
        self.control.step_done(step, self.policy.version(), metrics);
        saved.map(Waited::Found)
    }

    /// Learns from rollouts, its own or those of clients, if there are any.
    fn reinforce(&mut self, step: u64) -> Result<Waited<BTreeMap<String, f64>>, TrainError> {
        let began = Instant::now();
        let batch = match self.memory.config.problems.source {
            ProblemSource::Trajectories => self.client_batch()?,
            ProblemSource::Procedural | ProblemSource::Files => Waited::Found(self.own_batch(step)?),
        };
        let mut batch = match batch {
            Waited::Found(batch) => batch,
            other => return Ok(other.map(|_| BTreeMap::new())),
        };
        let most = self.memory.config.reward.max_ungraded_steps;
        ungraded::check(step, &batch.tally, &mut self.ungraded_steps, most)?;
        let mut metrics = std::mem::take(&mut batch.metrics);
        batch.tally.put(&mut metrics);
        let gen_s = began.elapsed().as_secs_f64();
        metrics.insert("timing_s/gen".into(), gen_s);
        metrics.insert(
            "perf/gen_tokens_per_s".into(),
            batch.tally.sampled_tokens() / gen_s.max(1e-9),
        );
        let generated = self.memory.generated_tokens + batch.tally.sampled_tokens() as u64;
        metrics.insert("training/generated_tokens".into(), generated as f64);
        self.update(step, &batch.groups, &mut metrics)?;
        self.remember(step, batch)?;
        Ok(Waited::Found(metrics))
    }

    /// The batch of `step`: sampled now, or while the last update went on. In the mode `async` the next one is begun.
    fn own_batch(&mut self, step: u64) -> Result<Batch, TrainError> {
        let drawn = self.memory.drawn;
        let batch = match self.ahead.take() {
            Some(ahead) => {
                self.control.phase("rollout");
                ahead.batch()?
            }
            None => self.sampling.batch(&Wanted {
                step,
                drawn,
                ..Wanted::default()
            })?,
        };
        if let (Mode::Async, Note::Own { scores }) = (self.memory.config.mode, &batch.note)
            && step < self.memory.config.steps
            && !self.memory.is_spent_with(batch.tally.sampled_tokens() as u64)
        {
            let weights = self.around.engine.weights().policy();
            let drawn = drawn + scores.len() as u64;
            self.ahead = Some(Ahead::begin(&self.sampling, weights, step + 1, drawn)?);
        }
        Ok(batch)
    }

    /// Updates the policy and publishes it, if there is something to learn from.
    fn update(&mut self, step: u64, groups: &[Group], metrics: &mut BTreeMap<String, f64>) -> Result<(), TrainError> {
        metrics.insert("training/groups".into(), groups.len() as f64);
        let versions = groups
            .iter()
            .flat_map(|group| &group.members)
            .filter_map(|member| member.spans.first());
        let staleness = versions.map(|span| self.policy.version().saturating_sub(span.version));
        let staleness: Vec<u64> = staleness.collect();
        self.control.trained_on(&staleness);
        tally::staleness(&staleness, metrics);
        if groups.is_empty() {
            let nothing = ["rows", "tokens", "optimizer_steps", "skipped_steps"];
            metrics.extend(nothing.map(|name| (format!("training/{name}"), 0.0)));
            return Ok(());
        }
        behind(self.memory.config.train_share, || {
            self.learn_groups(step, groups, metrics)
        })
    }

    /// Learns from `groups` and publishes what comes of it.
    fn learn_groups(
        &mut self,
        step: u64,
        groups: &[Group],
        metrics: &mut BTreeMap<String, f64>,
    ) -> Result<(), TrainError> {
        self.control.phase("update");
        let lane = self.around.engine.training_computes();
        let began = Instant::now();
        let config = &self.memory.config;
        let mut update = config.update(step);
        // Those that the run has skipped count.
        update.max_skipped_steps = update.max_skipped_steps.saturating_sub(self.memory.skipped_steps);
        let mut bonuses = Bonuses::default();
        let batch = UpdateBatch {
            groups: groups
                .iter()
                .map(|group| {
                    shaped::to_update(
                        group,
                        config,
                        &update,
                        self.sampling.limits.1,
                        self.memory.hidden.as_ref(),
                        &mut bonuses,
                    )
                })
                .collect::<Result<_, _>>()?,
            reference: self.reference.clone(),
        };
        let report = self
            .policy
            .update_watched(&batch, &update, &|done, all| self.control.progress(done, all))?;
        self.memory.skipped_steps += report.skipped_steps;
        skipped::record(
            &self.folder,
            step,
            &report.skipped,
            self.memory.skipped_steps,
            &self.memory.config,
        )?;
        bonuses.metrics(metrics);
        let measured = shaped::measured(groups, metrics);
        self.memory.hidden = Means::after(
            self.memory.hidden,
            &measured,
            self.memory.config.algorithm.hidden_shaping.ema,
        );
        metrics.extend(report.metrics);
        metrics.extend(
            report
                .masked
                .iter()
                .map(|(why, rows)| (format!("training/masked/{why}"), *rows as f64)),
        );
        metrics.insert("training/rows".into(), report.rows as f64);
        metrics.insert("training/tokens".into(), report.tokens as f64);
        metrics.insert("training/optimizer_steps".into(), report.steps as f64);
        metrics.insert("training/skipped_steps".into(), report.skipped_steps as f64);
        metrics.insert("timing_s/update_actor".into(), began.elapsed().as_secs_f64());
        if report.steps == 0 {
            return Ok(());
        }
        self.publish(step, lane, metrics)
    }

    /// Takes a trained batch into the memory; the marks in the log follow it.
    fn remember(&mut self, step: u64, batch: Batch) -> Result<(), TrainError> {
        crash::point(crash::Point::Mark);
        self.memory.step = step;
        self.memory.generated_tokens += batch.tally.sampled_tokens() as u64;
        let ids = batch
            .groups
            .iter()
            .flat_map(|group| group.members.iter().map(|member| member.id.clone()));
        let ids: Vec<String> = ids.collect();
        let visited: Vec<String> = match batch.note {
            Note::Own { scores } => {
                self.memory.consume_own(&batch.groups);
                self.memory.drawn += scores.len() as u64;
                scores
                    .iter()
                    .for_each(|(problem, score)| self.memory.visit(problem, step, *score));
                scores.into_iter().map(|(problem, _)| problem).collect()
            }
            Note::Clients { cursor } => {
                self.memory.cursor = cursor;
                self.control.consumed(cursor);
                self.memory.consumed.extend(ids.iter().cloned());
                let mut visited = Vec::new();
                for group in &batch.groups {
                    if let Some(problem) = group.members.iter().find_map(|member| member.problem_id.as_deref()) {
                        self.memory.visit(problem, step, Score::of(group));
                        visited.push(problem.to_owned());
                    }
                }
                visited
            }
        };
        self.control.visited(&visited, &self.memory);
        self.around.log.mark_trained(&self.sampling.run_id, &ids, unix_s())?;
        Ok(())
    }

    pub(super) fn checkpoint(&mut self) -> Result<(), TrainError> {
        self.control.phase("checkpoint");
        self.history.sync()?;
        let state = serde_json::to_value(&self.memory).expect("plain values serialise");
        self.checkpoints.save(&self.policy, self.memory.step, &state)?;
        self.saved = Some(self.memory.step);
        Ok(())
    }

    /// Evaluates the weights of this step, every `eval.test_freq` steps.
    fn evaluate(&self, step: u64, metrics: &mut BTreeMap<String, f64>) -> Result<(), TrainError> {
        let config = &self.memory.config;
        if config.eval.test_freq == 0 || !step.is_multiple_of(config.eval.test_freq) {
            return Ok(());
        }
        self.control.phase("evaluate");
        if let Some(examples) = &self.examples {
            return self.validate(examples, metrics);
        }
        let settings = crate::eval::EvalConfig {
            weights: Some(self.policy.version().to_string()),
            ..crate::eval::EvalConfig::of_run(config, self.sampling.limits.1)
        };
        let began = Instant::now();
        let report = crate::eval::evaluate(
            &self.around.engine,
            &self.held_out,
            &self.sampling.prompts,
            &settings,
            |done, all| self.control.progress(done, all),
        )
        .map_err(|error| TrainError::Run(error.to_string()))?;
        metrics.extend(report.metrics());
        metrics.extend(
            report
                .entropy
                .map(|entropy| ("val-aux/held_out/entropy".to_owned(), entropy)),
        );
        metrics.insert("timing_s/testing".into(), began.elapsed().as_secs_f64());
        Ok(())
    }
}
