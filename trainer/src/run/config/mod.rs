//! Configuration of a run: one TOML (or JSON) document, every key documented and bounded, unknown keys refused.

mod algorithm;
mod evaluation;
mod faults;
mod overrides;
mod supervised;
#[cfg(test)]
mod tests;
mod validate;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use algorithm::AlgorithmConfig;
pub use evaluation::EvalSection;
pub(super) use faults::or_more;
pub use faults::{Fault, FaultKind};
use svs_engine::load::lora::LoraShape;
pub(super) use validate::is_run_id;

use super::TrainError;
use crate::optim::OptimConfig;
use crate::problems::FileOptions;
use crate::reward::RewardConfig;
use crate::svs::{Prompts, SvsConfig};

/// Configuration of a run. Unknown keys are errors; every key has a default.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrainConfig {
    /// `svs` (solve, synthesize, solve the synthetic problems), `grpo` (the same loop with synthesis off), or `sft` (learn the
    /// answers of `problems.files`).
    pub recipe: Recipe,
    /// `sync`, or `async`: the next batch is sampled while an update goes on, with the weights from before it.
    pub mode: Mode,
    /// A checkpoint of another run to begin at: `run`, its last one, or `run@step`.
    pub fork_from: Option<String>,
    /// Steps to run; one step is one rollout batch and one update.
    pub steps: u64,
    /// Ends the run after the first step at which its rollouts (not evaluations) have sampled so many tokens.
    pub max_generated_tokens: Option<u64>,
    /// Run seed: problems, rollouts and every choice derive from it.
    pub seed: u64,
    /// Name of the run and of its folder; `None` makes one of recipe and seed.
    pub run_id: Option<String>,
    /// Share of each core that updates keep while requests are being served, above 0 to 0.5 (as much as serving); it has
    /// all that serving leaves.
    pub train_share: f64,
    /// Write the metrics for TensorBoard too: an event file in the run's folder for every start.
    pub tensorboard: bool,
    /// Say what a phase waits for that has made no progress for so long, s; 0 never does.
    pub watchdog_s: f64,
    /// Wait so long for room to publish, while requests and evaluations hold older weights, before the run fails, s.
    pub publish_wait_s: f64,
    /// Where problems come from.
    pub problems: ProblemsConfig,
    /// Templates; `None` takes the model's own (`svs.json`), else the defaults.
    pub prompts: Option<Prompts>,
    /// How groups are sampled.
    pub rollout: RolloutConfig,
    /// How rollouts are graded.
    pub reward: RewardConfig,
    /// Bands, filters and caps of synthesis.
    pub svs: SvsConfig,
    /// Training on trajectories that HTTP clients made (`problems.source = "trajectories"`).
    pub trajectories: TrajectoriesConfig,
    /// Advantages and policy loss.
    pub algorithm: AlgorithmConfig,
    /// Optimizer.
    pub optim: OptimConfig,
    /// Trains a LoRA adapter instead of the model's own parameters.
    pub lora: Option<LoraSection>,
    /// Checkpoints.
    pub checkpoint: CheckpointConfig,
    /// Evaluation during the run.
    pub eval: EvalSection,
}

impl Default for TrainConfig {
    fn default() -> Self {
        Self {
            recipe: Recipe::default(),
            mode: Mode::default(),
            fork_from: None,
            steps: 20,
            max_generated_tokens: None,
            seed: 0,
            run_id: None,
            train_share: 0.5,
            tensorboard: true,
            watchdog_s: 300.0,
            publish_wait_s: 600.0,
            problems: ProblemsConfig::default(),
            prompts: None,
            rollout: RolloutConfig::default(),
            reward: RewardConfig::default(),
            svs: SvsConfig::default(),
            trajectories: TrajectoriesConfig::default(),
            algorithm: AlgorithmConfig::default(),
            optim: OptimConfig::default(),
            lora: None,
            checkpoint: CheckpointConfig::default(),
            eval: EvalSection::default(),
        }
    }
}

/// What a step does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Recipe {
    /// Solve, synthesize, solve the synthetic problems.
    #[default]
    Svs,
    /// Solve only.
    Grpo,
    /// Learn the answers that the files have: supervised, nothing is sampled.
    Sft,
}

impl Recipe {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Svs, Self::Grpo, Self::Sft];

    /// Name in configs and on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Svs => "svs",
            Self::Grpo => "grpo",
            Self::Sft => "sft",
        }
    }
}

/// Whether sampling and training take turns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// In turns: every batch is sampled from the weights that it trains.
    #[default]
    Sync,
    /// At once: every batch but the first is one update behind.
    Async,
}

/// Kind of problem source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProblemSource {
    /// The built-in generator of arithmetic word problems.
    #[default]
    Procedural,
    /// JSONL, JSON or Parquet files.
    Files,
    /// No rollouts of its own: trajectories of HTTP clients, graded by the grader or reference in their metadata.
    Trajectories,
}

/// `[problems]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ProblemsConfig {
    /// `procedural`, `files` or `trajectories`.
    pub source: ProblemSource,
    /// Files to read, in order, when the source is `files`.
    pub files: Vec<PathBuf>,
    /// Problems that the procedural generator makes.
    pub procedural_count: usize,
    /// Seed of the procedural generator; `None` takes the run's.
    pub procedural_seed: Option<u64>,
    /// Problems per step.
    pub train_batch_size: usize,
    /// Problems used of those found, from the front; `None` uses all.
    pub limit: Option<usize>,
    /// Share of the problems of `files` that is never trained on. The choice depends on the questions only, so that
    /// every run and `svs eval --held-out` agree on it.
    pub held_out_fraction: f64,
    /// How `files` and `eval.files` are read.
    pub columns: FileOptions,
}

impl Default for ProblemsConfig {
    fn default() -> Self {
        Self {
            source: ProblemSource::default(),
            files: Vec::new(),
            procedural_count: 2048,
            procedural_seed: None,
            train_batch_size: 16,
            limit: None,
            held_out_fraction: 0.0,
            columns: FileOptions::default(),
        }
    }
}

/// `[rollout]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RolloutConfig {
    /// Samples per problem.
    pub n: u32,
    /// Samples with a problem's hint where all of those failed; `None` gives no hints.
    pub n_hinted: Option<u32>,
    /// Sampling temperature, > 0.
    pub temperature: f32,
    /// Nucleus mass in (0, 1].
    pub top_p: f32,
    /// Keep the k best tokens; `None` keeps all.
    pub top_k: Option<u32>,
    /// Longest prompt, tokens; a longer problem is skipped and counted. `None` takes half the context length, at most 1024.
    pub max_prompt_length: Option<usize>,
    /// Longest response, tokens; `None` takes what the prompt leaves of the context length, at most 1024.
    pub max_response_length: Option<u32>,
    /// Stop strings besides EOS.
    pub stop: Vec<String>,
    /// Groups in the engine's queue at once.
    pub max_groups_in_flight: usize,
    /// Where mathematics is graded by default, only a boxed answer counts, and exactly one distinct candidate.
    pub strict_grading: bool,
}

impl Default for RolloutConfig {
    fn default() -> Self {
        Self {
            n: 8,
            n_hinted: None,
            temperature: 1.0,
            top_p: 1.0,
            top_k: None,
            max_prompt_length: None,
            max_response_length: None,
            stop: Vec::new(),
            max_groups_in_flight: 32,
            strict_grading: false,
        }
    }
}

/// `[lora]`, with PEFT's names. The run ends with the folder `adapter` beside the merged `model`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LoraSection {
    /// Rank, 1 to 1024.
    pub r: usize,
    /// The product of the factors is scaled by `lora_alpha / r`.
    pub lora_alpha: f64,
    /// Linear layers by name or the end of it, as `q_proj`; `None` takes all but the output projection.
    pub target_modules: Option<Vec<String>>,
}

impl Default for LoraSection {
    fn default() -> Self {
        Self {
            r: 16,
            lora_alpha: 32.0,
            target_modules: None,
        }
    }
}

impl LoraSection {
    /// What the engine makes of it.
    #[must_use]
    pub fn shape(&self) -> LoraShape {
        LoraShape {
            r: self.r,
            lora_alpha: self.lora_alpha,
            target_modules: self.target_modules.clone(),
        }
    }
}

/// `[trajectories]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrajectoriesConfig {
    /// Groups per update.
    pub groups_per_step: usize,
    /// A group closes with what it has after so long, s.
    pub group_timeout_s: f64,
    /// A step that waits longer than this for groups ends the run, s.
    pub idle_timeout_s: f64,
    /// Time between looks at the log, ms.
    pub poll_ms: u64,
    /// Trajectories sampled more than so many versions ago are not trained on.
    pub max_staleness: u64,
}

impl Default for TrajectoriesConfig {
    fn default() -> Self {
        Self {
            groups_per_step: 8,
            group_timeout_s: 60.0,
            idle_timeout_s: 600.0,
            poll_ms: 50,
            max_staleness: 8,
        }
    }
}

/// `[checkpoint]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CheckpointConfig {
    /// Write one every so many steps; one is always written at the end and on stop.
    pub save_freq: u64,
    /// Checkpoints kept, the newest.
    pub keep: usize,
}

impl Default for CheckpointConfig {
    fn default() -> Self {
        Self { save_freq: 10, keep: 2 }
    }
}
