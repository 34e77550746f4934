//! What an experiment is told: seeds, recipes, budget, and when to evaluate.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, ensure};
use svs_trainer::TrainConfig;

use super::arm::{Arm, Bench};

/// Options of every experiment.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Seeds, as `0..5` or `0,2,7` [default: 0..5, of smollm2-svamp 0].
    #[arg(long, value_parser = seeds)]
    seeds: Option<Seeds>,
    /// Recipes to train.
    #[arg(long, value_delimiter = ',', default_value = "grpo,svs", value_parser = arm)]
    arms: Vec<Arm>,
    /// Tokens that each run may sample for training [default: 300000, of smollm2-svamp 150000].
    #[arg(long, value_name = "N")]
    budget_tokens: Option<u64>,
    /// Evaluations of each run, at equal parts of the budget; the start is evaluated besides.
    #[arg(long, default_value_t = 2)]
    evaluations: u64,
    /// Samples of each held-out problem [default: 32, of smollm2-svamp 16].
    #[arg(long)]
    samples: Option<u32>,
    /// What both recipes have in common.
    #[arg(long, value_name = "FILE.toml")]
    config: Option<PathBuf>,
    /// Folder of runs and, in `report`, of what comes of them.
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
}

/// What an experiment does when it is not told.
pub(super) struct Defaults {
    /// Its folders under docs/experiments and target/experiments.
    pub(super) name: &'static str,
    pub(super) seeds: u64,
    pub(super) budget_tokens: u64,
    pub(super) samples: u32,
}

/// What an experiment was told.
pub(super) struct Plan {
    pub(super) seeds: Vec<u64>,
    arms: Vec<Arm>,
    /// Generated tokens at which a run is evaluated, ascending.
    pub(super) due: Vec<u64>,
    pub(super) samples: u32,
    pub(super) config: TrainConfig,
    pub(super) out: PathBuf,
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

impl Options {
    /// The plan, with `defaults` where nothing was said.
    ///
    /// # Errors
    /// A budget that cannot be divided, a configuration that cannot be read.
    pub(super) fn settle(&self, defaults: &Defaults) -> anyhow::Result<Plan> {
        let budget = self.budget_tokens.unwrap_or(defaults.budget_tokens);
        ensure!(
            self.evaluations > 0 && budget >= self.evaluations,
            "--evaluations and --budget-tokens must be at least 1"
        );
        let or_own = |given: &Option<PathBuf>, own: PathBuf| given.clone().unwrap_or(own);
        let path = or_own(&self.config, documents(defaults.name).join("config.toml"));
        let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let given = self.seeds.as_ref().map(|seeds| seeds.0.clone());
        let out = crate::repo::target().join("experiments").join(defaults.name);
        Ok(Plan {
            seeds: given.unwrap_or_else(|| (0..defaults.seeds).collect()),
            arms: self.arms.clone(),
            due: (1..=self.evaluations)
                .map(|part| budget * part / self.evaluations)
                .collect(),
            samples: self.samples.unwrap_or(defaults.samples),
            config: TrainConfig::from_toml(&text).with_context(|| path.display().to_string())?,
            out: or_own(&self.out, out),
        })
    }
}

impl Plan {
    /// Trains and evaluates what is not there yet.
    ///
    /// # Errors
    /// Files of a run with other settings, a run that fails.
    pub(super) fn finish(&self, bench: &Bench) -> anyhow::Result<()> {
        let began = Instant::now();
        for &seed in &self.seeds {
            bench.finish(Arm::Start, seed, &[0])?;
            for &arm in &self.arms {
                bench.finish(arm, seed, &self.due)?;
                let (name, seconds) = (arm.name(), began.elapsed().as_secs_f64());
                println!("{name} of seed {seed} is there, {seconds:.0} s");
            }
        }
        Ok(())
    }

    /// Whether both recipes were to be trained, so that they can be compared.
    pub(super) fn has_both(&self) -> bool {
        Arm::TRAINED.iter().all(|arm| self.arms.contains(arm))
    }
}

/// The committed folder of the experiment `name`.
pub(super) fn documents(name: &str) -> PathBuf {
    crate::repo::root().join("docs/experiments").join(name)
}
