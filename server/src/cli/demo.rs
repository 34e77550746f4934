//! `svs demo`.

use std::path::PathBuf;
use std::process::ExitCode;

use svs_trainer::run::config::Recipe;

use crate::demo::{self, DemoConfig};

/// Arguments of `svs demo`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  svs demo                          SvS on the embedded policy, under five minutes on two cores
  svs demo --recipe grpo --seed 3   the same without synthesis, another seed

While it runs, the server on loopback answers any OpenAI client; the port is printed at the start.")]
pub struct Args {
    /// `svs` or `grpo` (synthesis off).
    #[arg(long, default_value = "svs", value_parser = parse_recipe)]
    pub recipe: Recipe,
    /// Seed of problems, rollouts and evaluation.
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Training iterations.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    pub iterations: u64,
    /// Held-out problems of the evaluation before and after.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub problems: u32,
    /// Port on loopback; 0 takes a free one.
    #[arg(long, default_value_t = 0)]
    pub port: u16,
    /// Folder for the trained model, the plot and the logs.
    #[arg(long, value_name = "FOLDER", default_value = "runs/demo")]
    pub output: PathBuf,
}

fn parse_recipe(name: &str) -> Result<Recipe, String> {
    [Recipe::Svs, Recipe::Grpo]
        .into_iter()
        .find(|recipe| recipe.name() == name)
        .ok_or_else(|| format!("`{name}` is not a recipe; use `svs` or `grpo`"))
}

/// Runs the command.
///
/// # Errors
/// Anything that stopped it.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let demo = DemoConfig {
        recipe: args.recipe,
        seed: args.seed,
        steps: args.iterations,
        problems: args.problems as usize,
        port: args.port,
        output: args.output,
    };
    demo::run(&demo)?;
    Ok(ExitCode::SUCCESS)
}
