//! A run does what it is asked between two steps.

use std::sync::Arc;

use serde_json::{Map, Value};
use svs_engine::WeightSet;

use super::changes::{self, Change};
use super::claim::write_config;
use super::clients::Waited;
use super::history::History;
use super::memory::Memory;
use super::open::check_choices;
use super::runner::Runner;
use super::task::{Asked, Target, Task};
use super::tensorboard::EventFile;
use super::{TrainConfig, TrainError};
use crate::checkpoint::CheckpointError;
use crate::clock::unix_s;

/// A refusal leaves the run as it was; a failure ends it.
type Performed = Result<Result<(), TrainError>, TrainError>;

impl Runner {
    /// Does what was asked and tells whoever asked; false if there was nothing to train on and nothing will come.
    pub(super) fn perform(&mut self, asked: Asked) -> Result<bool, TrainError> {
        let mut more = true;
        let done = match asked.task {
            Task::Step => match self.one_step() {
                Ok(Waited::Interrupted) => {
                    // It is made when what came between is done.
                    self.control.ask_again(asked);
                    return Ok(true);
                }
                Ok(Waited::Nothing) => {
                    more = false;
                    let reason = "no groups came within trajectories.idle_timeout_s; the run ends without the step";
                    Ok(Err(TrainError::State(reason.into())))
                }
                stepped => stepped.map(|_| Ok(())),
            },
            // Another of the same step would say nothing more, and push an older one out.
            Task::Checkpoint if self.saved == Some(self.memory.step) => Ok(Ok(())),
            Task::Checkpoint => self.checkpoint().map(Ok),
            Task::Configure(changes) => self.configure(&changes),
            Task::RollBack(target) => self.roll_back(target),
        };
        self.control.phase("");
        let answer = match &done {
            Ok(Ok(())) => Ok(self.control.status()),
            Ok(Err(error)) | Err(error) => Err(error.clone()),
        };
        // Whoever asked may have left.
        let _ = asked.answer.send(answer);
        done.map(|_| more)
    }

    /// A step of a paused run, which is paused again after it.
    fn one_step(&mut self) -> Result<Waited<()>, TrainError> {
        self.control.one_step(true);
        let stepped = self.step()?;
        self.control.one_step(false);
        Ok(stepped)
    }

    fn configure(&mut self, changes: &Map<String, Value>) -> Performed {
        let config = changes::check(changes).and_then(|()| Ok(self.memory.config.overlaid(changes)?));
        let config = match config.and_then(|config| self.fits(&config).map(|()| config)) {
            Ok(config) => config,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let step = self.memory.step;
        let changes = changes.clone();
        changes::append(&self.folder, Change::Config { step, changes })?;
        self.take_config(config)?;
        Ok(Ok(()))
    }

    /// Whether the run could go on by `config`.
    fn fits(&self, config: &TrainConfig) -> Result<(), TrainError> {
        check_choices(config, self.around.engine.config().max_choices)?;
        if config.steps < self.memory.step {
            return Err(TrainError::Config {
                field: "steps".into(),
                reason: format!("the run has done {} steps already", self.memory.step),
            });
        }
        Ok(())
    }

    /// Applies the changes that were made after this step before the run was interrupted.
    pub(super) fn replay(&mut self) -> Result<(), TrainError> {
        while self.replayed.front().is_some_and(|(step, _)| *step <= self.memory.step) {
            let Some((_, changes)) = self.replayed.pop_front() else {
                break;
            };
            let config = self.memory.config.overlaid(&changes)?;
            self.take_config(config)?;
        }
        Ok(())
    }

    /// Goes on by `config`.
    fn take_config(&mut self, config: TrainConfig) -> Result<(), TrainError> {
        // A batch that was begun by the old one is sampled again.
        self.ahead = None;
        let sampling = Arc::get_mut(&mut self.sampling);
        let sampling = sampling.ok_or_else(|| TrainError::Run("a batch is still being sampled".into()))?;
        if config.algorithm.kl_loss_coef != 0.0 && self.reference.is_none() {
            self.reference = Some(reference(&self.around));
        }
        sampling.config = config.clone();
        write_config(&self.folder, &config)?;
        self.control.configured(&config);
        self.memory.config = config;
        Ok(())
    }

    fn roll_back(&mut self, target: Target) -> Performed {
        let step = match self.checkpoint_of(target) {
            Ok(step) => step,
            Err(refusal) => return Ok(Err(refusal)),
        };
        self.control.phase("rollback");
        let (from_step, config) = (self.memory.step, self.memory.config.clone());
        // Not the engine's numbers, which are those of its last step: a publish may be newer.
        let served = self.around.engine.weights().policy().version;
        let weight_version = served.max(self.policy.version()) + 1;
        let restored = match self.checkpoints.load(&mut self.policy, Some(step)) {
            Ok(Some(restored)) => restored,
            Ok(None) => return Ok(Err(TrainError::State(format!("the checkpoint of step {step} is gone")))),
            // Nothing was read from it into the policy.
            Err(error @ CheckpointError::NoneIntact { .. }) => return Ok(Err(TrainError::State(error.to_string()))),
            Err(error) => return Err(error.into()),
        };
        self.ahead = None;
        let memory: Memory = serde_json::from_value(restored.run_state)
            .map_err(|error| TrainError::Run(format!("{}: {error}", restored.path.display())))?;
        // What was said of the run since goes on: a rollback takes back what it learned, not what it was told.
        self.memory = Memory { config, ..memory };
        let change = Change::Rollback {
            from_step,
            to_step: step,
            weight_version,
        };
        // From here on a resumed run begins at that step and with that version, too.
        changes::append(&self.folder, change)?;
        self.checkpoints.discard_after(step, weight_version)?;
        self.saved = Some(step);
        self.control.consumed(self.memory.cursor);
        self.control.remembered(&self.sampling.run_id, &self.memory);
        let consumed = self.memory.consumed_ids();
        self.around
            .log
            .repair_trained(&self.sampling.run_id, &consumed, unix_s())?;
        self.history = History::open(&self.folder, step)?;
        if self.events.is_some() {
            self.events = Some(EventFile::create(&self.folder, step + 1)?);
        }
        self.policy.set_version(weight_version);
        self.publish_in_turn(&self.policy.weight_set(&format!("rollback-{step}")))?;
        self.control
            .step_done(step, weight_version, std::collections::BTreeMap::new());
        Ok(Ok(()))
    }

    /// The step of a checkpoint that the run can go back to.
    fn checkpoint_of(&self, target: Target) -> Result<u64, TrainError> {
        let found = self.checkpoints.versions()?;
        // A step that learned nothing keeps the version: the last of its steps has forgotten the least.
        let wanted = found.iter().rfind(|(step, version)| match target {
            Target::Step(wanted) => *step == wanted,
            Target::Version(wanted) => *version == wanted,
        });
        let (field, wanted_at) = match target {
            Target::Step(step) => ("step", step),
            Target::Version(version) => ("version", version),
        };
        wanted.map(|(step, _)| *step).ok_or_else(|| {
            let there: Vec<String> = found
                .iter()
                .map(|(step, version)| format!("step {step} (version {version})"))
                .collect();
            let there = if there.is_empty() {
                "none".into()
            } else {
                there.join(", ")
            };
            TrainError::Config {
                field: field.into(),
                reason: format!("the run has no checkpoint of {field} {wanted_at}; there are: {there}"),
            }
        })
    }
}

/// The weights that the KL term compares with: the model as it was loaded.
pub(super) fn reference(around: &super::runner::Surroundings) -> Arc<WeightSet> {
    Arc::new(WeightSet::pack_as(
        around.engine.config().storage(),
        &around.model.config,
        &around.model.params,
        0,
        "reference",
    ))
}
