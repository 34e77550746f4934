//! What `svs bench` measures: rollouts on a running engine and training steps, told as rates and as shares of the machine's
//! limits.
//!
//! It goes through the same handle as requests do, and knows nothing of HTTP.

mod phase;
mod report;
mod streams;
mod train;
mod train_report;
mod train_work;

pub use report::{Report, render};
pub use train::{StepWork, TrainLoad, TrainRun, measure_train};
pub use train_report::{PhaseReport, TrainReport};
pub use train_work::Work;

use std::sync::Arc;

use anyhow::Context;
use svs_engine::load::LoadedModel;
use svs_engine::ops::MachineLimits;
use svs_engine::{EngineConfig, EngineHandle, WeightSet};

use phase::Run;

/// What to run.
#[derive(Debug, Clone)]
pub struct Load {
    /// Sequences at once; a multiple of `group`.
    pub batch: usize,
    /// Samples per prompt.
    pub group: usize,
    /// Length of a prompt.
    pub prompt_tokens: usize,
    /// New tokens of each sequence, at least 2.
    pub max_tokens: u32,
    /// Runs, of which the median is reported.
    pub repeat: usize,
    /// Rows of one step; by default all prompts at once.
    pub max_num_batched_tokens: Option<usize>,
    /// Threads of the compute pool.
    pub threads: Option<usize>,
    /// Seed of prompts and samples.
    pub seed: u64,
}

impl Load {
    /// Bounds of an engine that has room for the whole load and does not reuse prompts of earlier runs.
    fn engine(&self, model: &LoadedModel) -> EngineConfig {
        let default = EngineConfig::default();
        let prompts = self.batch / self.group * self.prompt_tokens;
        let length = self.prompt_tokens + self.max_tokens as usize;
        EngineConfig {
            max_num_seqs: self.batch,
            max_num_batched_tokens: self.max_num_batched_tokens.unwrap_or(prompts.max(self.batch)),
            max_choices: self.group.max(default.max_choices),
            max_waiting: self.batch.max(default.max_waiting),
            kv_blocks: Some(self.batch * svs_engine::kv::blocks_for(length + 1) + 1),
            max_model_len: Some(length.min(model.config.max_position_embeddings)),
            prefix_cache: self.group > 1,
            threads: self.threads,
            ..default
        }
    }
}

/// Runs the load some times and reports the run with the median decode rate.
///
/// # Errors
/// A load that the engine refuses, or a failing engine.
pub fn measure(model: &LoadedModel, weights: &Arc<WeightSet>, load: &Load) -> anyhow::Result<Report> {
    let engine = EngineHandle::start(Arc::clone(weights), model.tokenizer.clone(), load.engine(model))
        .context("cannot start the engine")?;
    // The first run touches the cache's pages and grows every buffer.
    let warm_up = Load {
        max_tokens: 2,
        ..load.clone()
    };
    streams::run(&engine, &warm_up, u64::MAX)?;
    let threads = load
        .threads
        .or_else(|| std::thread::available_parallelism().ok().map(usize::from))
        .unwrap_or(1);
    let before = MachineLimits::measure(threads);
    let mut runs = (0..load.repeat)
        .map(|round| streams::run(&engine, load, round as u64))
        .collect::<anyhow::Result<Vec<Run>>>()?;
    let after = MachineLimits::measure(threads);
    runs.sort_by(|a, b| a.decode.tokens_per_second().total_cmp(&b.decode.tokens_per_second()));
    // Of an even number, the slower of the middle two.
    let median = runs.swap_remove((load.repeat - 1) / 2);
    let limits = MachineLimits {
        flops: before.flops.max(after.flops),
        read_bytes: before.read_bytes.max(after.read_bytes),
    };
    Ok(Report::new(&model.config, weights, load, threads, limits, &median))
}
