//! A whole run over a model small enough for unit tests.

use std::path::Path;
use std::sync::Arc;

use svs_engine::load::LoadedModel;
use svs_engine::{EngineConfig, EngineHandle, WeightSet};

use super::{TrainConfig, TrainStatus, TrainerHandle};
use crate::log::TrajectoryLog;

/// An engine, a log and a trainer for `model` in `folder`, whose runs are under `folder/runs`.
pub(crate) fn parts(model: LoadedModel, folder: &Path) -> (EngineHandle, TrajectoryLog, TrainerHandle) {
    let model = Arc::new(model);
    let weights = Arc::new(WeightSet::pack(&model.config, &model.params, 0, "base"));
    let config = EngineConfig {
        kv_cache_bytes: 16 << 20,
        ..EngineConfig::default()
    };
    let engine = EngineHandle::start(weights, model.tokenizer.clone(), config).expect("an engine");
    let log = TrajectoryLog::open(&folder.join("log.sqlite")).expect("a log");
    let trainer = TrainerHandle::new(engine.clone(), model, log.clone(), folder.join("runs"));
    (engine, log, trainer)
}

/// How the run of `toml` over `model` ends.
pub(crate) fn run(model: LoadedModel, folder: &Path, toml: &str) -> TrainStatus {
    let (_, _, trainer) = parts(model, folder);
    let config = TrainConfig::from_toml(toml).expect("valid");
    trainer.start(config, false).expect("starts");
    trainer.wait()
}
