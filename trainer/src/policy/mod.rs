//! The policy being trained: master parameters, optimizer state, version; one `update` per step.
//!
//! Knows groups, rewards and the objective; knows no problem, prompt or recipe, and does not publish by itself.

mod adapter;
mod batching;
mod config;
mod correction;
mod parity;
mod rows;
mod skipped;
mod update;

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use adapter::Adapter;
pub use batching::{accumulate_all, micro_batches};
pub(crate) use batching::{by_tokens, logprobs_all};
pub use config::{PolicyError, UpdateBatch, UpdateConfig, UpdateGroup, UpdateReport};
pub use correction::{RatioLevel, RolloutCorrection};
pub(crate) use skipped::{GRADIENT_NORM, judged, warn};
pub use skipped::{SkippedRow, SkippedStep};
use svs_engine::load::lora::LoraShape;
use svs_engine::load::{LoadError, LoadedModel};
use svs_engine::{Params, Storage, WeightSet};

use crate::optim::{AdamW, OptimConfig, StepReport};

/// Master parameters with their optimizer.
#[derive(Debug)]
pub struct Policy {
    model: LoadedModel,
    /// What is trained instead of the model's own parameters.
    adapter: Option<Adapter>,
    version: u64,
    storage: Storage,
    /// Made by the first update: serving, evaluation and supervised training need no moments.
    optimizer: Option<AdamW>,
    /// The last packed weights, as long as they are those of `version`.
    packed: Mutex<Option<Arc<WeightSet>>>,
}

impl Policy {
    /// A policy that starts from `model`, as weight version `version` (what the engine calls the weights it serves).
    #[must_use]
    pub fn new(model: LoadedModel, version: u64) -> Self {
        Self {
            model,
            adapter: None,
            version,
            storage: Storage::default(),
            optimizer: None,
            packed: Mutex::new(None),
        }
    }

    /// A policy that trains a LoRA adapter on `base`, which itself stays as it is. The adapter begins from `seed` and
    /// changes nothing before its first step.
    ///
    /// # Errors
    /// [`LoadError`] naming the field of `shape` that does not fit the model.
    pub fn of_adapter(base: Arc<LoadedModel>, shape: LoraShape, seed: u64) -> Result<Self, LoadError> {
        let model = base.as_ref().clone();
        let adapter = Some(Adapter::new(base, shape, seed)?);
        Ok(Self {
            adapter,
            ..Self::new(model, 0)
        })
    }

    /// The same policy with the storage of the engine that samples from it. The masters and the optimizer stay f32.
    #[must_use]
    pub fn serving_in(mut self, storage: Storage) -> Self {
        self.storage = storage;
        self.forget_packed();
        self
    }

    /// Shape, tokenizer, name and current parameters.
    #[must_use]
    pub fn model(&self) -> &LoadedModel {
        &self.model
    }

    /// Current parameters, the adapter's product added where one is trained.
    #[must_use]
    pub fn params(&self) -> &Params {
        &self.model.params
    }

    /// What the optimizer moves: the adapter's factors where one is trained, else the parameters.
    #[must_use]
    pub fn masters(&self) -> &Params {
        self.adapter.as_ref().map_or(&self.model.params, Adapter::factors)
    }

    /// Identifies what the trained adapter is added to; `None` without an adapter.
    #[must_use]
    pub fn base_sha256(&self) -> Option<&str> {
        self.adapter.as_ref().map(Adapter::base_sha256)
    }

    /// Writes the trained adapter as a folder that PEFT and `svs serve --lora` read; false if there is none.
    ///
    /// # Errors
    /// [`LoadError::File`].
    pub fn save_adapter(&self, folder: &Path) -> Result<bool, LoadError> {
        match &self.adapter {
            Some(adapter) => adapter.save(folder).map(|()| true),
            None => Ok(false),
        }
    }

    /// Version of the current parameters; grows by one per update that moved them.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Sets the version, e.g. when the engine already used a higher one.
    pub fn set_version(&mut self, version: u64) {
        self.version = version;
    }

    /// Optimizer steps taken so far.
    #[must_use]
    pub fn optimizer_steps(&self) -> u64 {
        self.optimizer.as_ref().map_or(0, |optimizer| optimizer.steps)
    }

    /// Optimizer state, if an update has made one.
    #[must_use]
    pub fn optimizer(&self) -> Option<&AdamW> {
        self.optimizer.as_ref()
    }

    /// Puts back [`Self::masters`], optimizer state and version, as read from a checkpoint.
    ///
    /// # Errors
    /// [`PolicyError::Batch`] if the lengths do not fit; nothing is changed then.
    pub fn restore(&mut self, values: Vec<f32>, optimizer: Option<AdamW>, version: u64) -> Result<(), PolicyError> {
        let wanted = self.masters().layout.len;
        let moments = optimizer
            .as_ref()
            .map_or((wanted, wanted), |o| (o.first.len(), o.second.len()));
        if values.len() != wanted || moments != (wanted, wanted) {
            let found = values.len();
            return Err(PolicyError::Batch(format!(
                "{wanted} parameters are trained, the state has {found} and {moments:?}"
            )));
        }
        match &mut self.adapter {
            Some(adapter) => adapter.restore(values, &mut self.model.params),
            None => self.model.params.values = values,
        }
        self.optimizer = optimizer;
        self.version = version;
        self.forget_packed();
        Ok(())
    }

    /// Packs the current parameters for serving. Packed once per version and label.
    #[must_use]
    pub fn weight_set(&self, label: &str) -> Arc<WeightSet> {
        let mut packed = self.packed.lock().unwrap_or_else(PoisonError::into_inner);
        match &*packed {
            Some(set) if set.version == self.version && set.label == label => Arc::clone(set),
            _ => Arc::clone(packed.insert(self.pack(label))),
        }
    }

    /// Trains on whole groups: mini-batches in order, one optimizer step each.
    ///
    /// On the first mini-batch the logprobs of rows that were sampled untruncated from this very version are those that
    /// the sampler recorded; the backward's own forward must reproduce them, or the update stops before it moves
    /// anything. Other rows, and all rows after the first step, are scored first; the old logprob is always the
    /// behaviour policy's.
    ///
    /// A step whose logits, loss or gradient are not finite is not taken, and reported with its rows.
    ///
    /// # Errors
    /// Any [`PolicyError`]. Optimizer steps before the failing one stay.
    pub fn update(&mut self, batch: &UpdateBatch, config: &UpdateConfig) -> Result<UpdateReport, PolicyError> {
        self.update_watched(batch, config, &|_, _| ())
    }

    /// As [`Self::update`]; `progress` hears how many backward passes over rows are done, of how many, after each micro-batch.
    ///
    /// # Errors
    /// As there.
    pub fn update_watched(
        &mut self,
        batch: &UpdateBatch,
        config: &UpdateConfig,
        progress: &dyn Fn(usize, usize),
    ) -> Result<UpdateReport, PolicyError> {
        config.validate()?;
        update::Update::new(self, batch, config, progress).run(batch)
    }

    /// Packs the current parameters afresh.
    pub(crate) fn pack(&self, label: &str) -> Arc<WeightSet> {
        Arc::new(WeightSet::pack_as(
            self.storage,
            &self.model.config,
            &self.model.params,
            self.version,
            label,
        ))
    }

    /// The packed weights of this version under whatever label they already have.
    pub(crate) fn current(&self) -> Arc<WeightSet> {
        let label = {
            let packed = self.packed.lock().unwrap_or_else(PoisonError::into_inner);
            packed
                .as_ref()
                .filter(|set| set.version == self.version)
                .map(|set| set.label.clone())
        };
        self.weight_set(label.as_deref().unwrap_or("policy"))
    }

    /// One optimizer step of the policy's own optimizer.
    pub(crate) fn step(&mut self, grads: &Params, config: &OptimConfig) -> StepReport {
        let len = self.masters().values.len();
        let optimizer = self.optimizer.get_or_insert_with(|| AdamW::new(len));
        let model = &mut self.model.params;
        let report = match &mut self.adapter {
            Some(adapter) => adapter.step(optimizer, model, grads, config),
            None => optimizer.step(model, grads, config),
        };
        self.forget_packed();
        report
    }

    /// Counts a step of the policy's own optimizer that is not taken.
    pub(crate) fn skip(&mut self, config: &OptimConfig) -> StepReport {
        let len = self.masters().values.len();
        self.optimizer.get_or_insert_with(|| AdamW::new(len)).skip(config)
    }

    /// One step of another optimizer.
    pub(crate) fn step_with(&mut self, optimizer: &mut AdamW, grads: &Params, config: &OptimConfig) -> StepReport {
        let report = optimizer.step(&mut self.model.params, grads, config);
        self.forget_packed();
        report
    }

    /// The parameters have moved since the version was given.
    pub(crate) fn moved(&mut self) {
        self.version += 1;
        self.forget_packed();
    }

    fn forget_packed(&mut self) {
        *self.packed.get_mut().unwrap_or_else(PoisonError::into_inner) = None;
    }
}
