//! `cargo xtask experiment svs-vs-grpo`: both recipes at the same number of generated tokens, on the embedded policy.
//!
//! What a run left on disk is all that is known of it: runs go on where they were interrupted, evaluations that are
//! there are not made again, and the report is made of the files alone.

mod arm;
mod comparison;
mod curves;
mod held_out;
mod plot;
mod records;
mod report;

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, ensure};
use svs_trainer::TrainConfig;

use arm::{Arm, Bench};
use held_out::HeldOut;

/// Experiments whose results are committed.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Experiment {
    /// SvS and GRPO at the same number of generated tokens, measured on held-out problems (docs/experiments/svs-vs-grpo).
    SvsVsGrpo(Options),
}

/// Options of `cargo xtask experiment svs-vs-grpo`.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Seeds, as `0..5` or `0,2,7`.
    #[arg(long, default_value = "0..5", value_parser = seeds)]
    seeds: Seeds,
    /// Recipes to train.
    #[arg(long, value_delimiter = ',', default_value = "grpo,svs", value_parser = arm)]
    arms: Vec<Arm>,
    /// Tokens that each run may sample for training.
    #[arg(long, value_name = "N", default_value_t = 300_000)]
    budget_tokens: u64,
    /// Evaluations of each run, at equal parts of the budget; the start is evaluated besides.
    #[arg(long, default_value_t = 2)]
    evaluations: u64,
    /// Held-out problems of each shape of computation.
    #[arg(long, value_name = "N", default_value_t = 12)]
    problems_per_shape: usize,
    /// Samples of each held-out problem.
    #[arg(long, default_value_t = 32)]
    samples: u32,
    /// What both recipes have in common.
    #[arg(long, value_name = "FILE.toml")]
    config: Option<PathBuf>,
    /// Folder of runs (some 100 MB each) and, in `report`, of what comes of them.
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
}

#[derive(Debug, Clone)]
struct Seeds(Vec<u64>);

fn seeds(text: &str) -> Result<Seeds, String> {
    let number = |text: &str| text.trim().parse::<u64>().map_err(|error| format!("`{text}`: {error}"));
    let seeds: Vec<u64> = match text.split_once("..") {
        Some((first, end)) => (number(first)?..number(end)?).take(1 << 10).collect(),
        None => text.split(',').map(number).collect::<Result<_, _>>()?,
    };
    if seeds.is_empty() {
        return Err("there is none".into());
    }
    Ok(Seeds(seeds))
}

fn arm(name: &str) -> Result<Arm, String> {
    let trained = Arm::TRAINED.into_iter().find(|arm| arm.name() == name);
    trained.ok_or_else(|| "the recipes are `svs` and `grpo`".into())
}

/// Trains and evaluates what is not there yet, then reports.
///
/// # Errors
/// A configuration that cannot be used, files of a run with other settings, a run that fails.
pub(crate) fn run(experiment: &Experiment) -> anyhow::Result<()> {
    let Experiment::SvsVsGrpo(options) = experiment;
    ensure!(
        options.evaluations > 0 && options.budget_tokens >= options.evaluations,
        "--evaluations and --budget-tokens must be at least 1"
    );
    let out = options
        .out
        .clone()
        .unwrap_or_else(|| crate::repo::target().join("experiments/svs-vs-grpo"));
    let path = options
        .config
        .clone()
        .unwrap_or_else(|| documents().join("config.toml"));
    let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let config = TrainConfig::from_toml(&text).with_context(|| path.display().to_string())?;
    let held_out = HeldOut::new(options.problems_per_shape)?;
    let bench = Bench::new(config, held_out, options.samples, out.clone())?;
    let due: Vec<u64> = (1..=options.evaluations)
        .map(|part| options.budget_tokens * part / options.evaluations)
        .collect();
    let began = Instant::now();
    for &seed in &options.seeds.0 {
        bench.finish(Arm::Start, seed, &[0])?;
        for &arm in &options.arms {
            bench.finish(arm, seed, &due)?;
            println!(
                "{} of seed {seed} is there, {:.0} s",
                arm.name(),
                began.elapsed().as_secs_f64()
            );
        }
    }
    if Arm::TRAINED.iter().all(|arm| options.arms.contains(arm)) {
        report::write(&out, &options.seeds.0, &due)?;
    }
    Ok(())
}

/// The committed folder of this experiment.
fn documents() -> PathBuf {
    crate::repo::root().join("docs/experiments/svs-vs-grpo")
}
