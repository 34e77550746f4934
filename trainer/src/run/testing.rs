//! A whole run over a model small enough for unit tests.

use std::path::Path;
use std::sync::Arc;

use svs_engine::load::LoadedModel;
use svs_engine::{EngineConfig, EngineHandle, WeightSet};

use super::{TrainConfig, TrainStatus, TrainerHandle};
use crate::log::TrajectoryLog;

/// How the run of `toml` over `model` ends; its files are under `folder/runs`.
pub(crate) fn run(model: LoadedModel, folder: &Path, toml: &str) -> TrainStatus {
    let model = Arc::new(model);
    let weights = Arc::new(WeightSet::pack(&model.config, &model.params, 0, "base"));
    let config = EngineConfig {
        kv_cache_bytes: 16 << 20,
        ..EngineConfig::default()
    };
    let engine = EngineHandle::start(weights, model.tokenizer.clone(), config).expect("an engine");
    let log = TrajectoryLog::open(&folder.join("log.sqlite")).expect("a log");
    let trainer = TrainerHandle::new(engine, model, log, folder.join("runs"));
    let config = TrainConfig::from_toml(toml).expect("valid");
    trainer.start(config, false).expect("starts");
    trainer.wait()
}
