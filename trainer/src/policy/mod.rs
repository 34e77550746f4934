//! The policy being trained: master parameters, optimizer state, version; one `update` per step.

mod config;

use std::sync::Arc;

pub use config::{PolicyError, UpdateBatch, UpdateConfig, UpdateGroup, UpdateReport};
use svs_engine::load::LoadedModel;
use svs_engine::{Params, WeightSet};

/// Master parameters with their optimizer.
#[derive(Debug)]
pub struct Policy {
    model: LoadedModel,
    version: u64,
}

impl Policy {
    /// A policy that starts from `model`, as weight version `version` (what the engine calls the weights it serves).
    #[must_use]
    pub fn new(model: LoadedModel, version: u64) -> Self {
        Self { model, version }
    }

    /// Shape, tokenizer, name and current parameters.
    #[must_use]
    pub fn model(&self) -> &LoadedModel {
        &self.model
    }

    /// Current parameters.
    #[must_use]
    pub fn params(&self) -> &Params {
        &self.model.params
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
        unimplemented!()
    }

    /// Packs the current parameters for serving. Packed once per version and label.
    #[must_use]
    pub fn weight_set(&self, _label: &str) -> Arc<WeightSet> {
        unimplemented!()
    }

    /// Trains on whole groups: mini-batches in order, one optimizer step each.
    ///
    /// # Errors
    /// Any [`PolicyError`]. Optimizer steps before the failing one stay.
    pub fn update(&mut self, _batch: &UpdateBatch, _config: &UpdateConfig) -> Result<UpdateReport, PolicyError> {
        unimplemented!()
    }
}
