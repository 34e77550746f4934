//! `svs bench`: how fast this machine runs and trains a model, beside what the machine can do at most.

mod rollouts;
mod train;

use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Subcommand;
use svs_engine::load::{LoadedModel, load};
use svs_engine::{Precision, Storage};

use super::shared::parse_precision;
use crate::assets::model_source;

/// Arguments of `svs bench`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// What to measure.
    #[command(subcommand)]
    pub what: What,
}

/// What can be measured.
#[derive(Debug, Subcommand)]
pub enum What {
    /// Rollouts: many prompts at once, each continued by a fixed number of tokens.
    Rollouts(rollouts::Rollouts),
    /// A training step: rollouts of groups, grading, update, publish.
    Train(train::Train),
}

/// What every bench takes.
#[derive(Debug, clap::Args)]
struct Common {
    /// A Hugging Face folder, a .gguf file or a hub id; the embedded policy if absent.
    #[arg(long, value_name = "MODEL")]
    model: Option<String>,
    /// Storage of keys and values: `f32` or `bf16`.
    #[arg(long, value_name = "PRECISION", value_parser = parse_precision, default_value = "f32")]
    kv: Precision,
    /// Threads of the engine's compute pool [default: cores].
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// Seed of prompts and samples.
    #[arg(long, value_name = "SEED", default_value_t = 0)]
    seed: u64,
    /// Print one line of JSON instead of tables.
    #[arg(long)]
    json: bool,
}

impl Common {
    fn load(&self) -> anyhow::Result<LoadedModel> {
        load(&model_source(self.model.as_deref())?).context("cannot load the model")
    }

    fn storage(&self, weights: Precision) -> Storage {
        Storage { weights, kv: self.kv }
    }
}

/// Runs the command. Its result is what goes to stdout.
///
/// # Errors
/// A model that cannot be read, a number out of range, or a failing engine.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    match args.what {
        What::Rollouts(args) => rollouts::run(args),
        What::Train(args) => train::run(args),
    }
}

/// Largest number that a flag takes.
const MOST: usize = 1 << 16;
/// Most threads.
const MOST_THREADS: usize = 1024;

/// Refuses a flag that is 0 or too large.
fn within(flags: &[(&str, usize)], threads: Option<usize>) -> anyhow::Result<()> {
    if let Some((flag, _)) = flags.iter().find(|(_, value)| !(1..=MOST).contains(value)) {
        bail!("{flag} must be 1 to {MOST}");
    }
    if threads.is_some_and(|threads| !(1..=MOST_THREADS).contains(&threads)) {
        bail!("--threads must be 1 to {MOST_THREADS}");
    }
    Ok(())
}
