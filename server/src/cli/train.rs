//! `svs train`: a run without the HTTP server around it.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::mpsc::Receiver;
use std::time::Duration;

use anyhow::Context;
use indicatif::{ProgressBar, ProgressStyle};
use svs_trainer::run::config::Recipe;
use svs_trainer::run::{RunState, TrainStatus};
use svs_trainer::{TrainConfig, TrainerHandle};

use super::shared::ModelArgs;
use super::signals::{Asked, outlive_file_limit};
use crate::stack::Stack;

/// Arguments of `svs train`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  svs train                                        SvS on the embedded policy and generated problems
  svs train --recipe grpo --steps 50 --seed 1      the same loop without synthesis
  svs train --model ./SmolLM2 --config run.toml    everything else in a file, see docs/config.md
  svs train --config run.toml --resume             goes on after the last checkpoint
  svs train --config run.toml --set rollout.n=16 --set optim.lr=1e-5 --dry-run

Files of a run are in <runs>/<run id>/: config.toml, metrics.jsonl (a line per step), events.out.tfevents.* (the same for
TensorBoard), checkpoints/ and, at the end, model/, a Hugging Face folder. The first Ctrl-C or SIGTERM ends the run after its
step, with a checkpoint; the second at once.")]
pub struct Args {
    #[command(flatten)]
    model: ModelArgs,
    /// Configuration of the run; every key is optional, unknown keys are refused.
    #[arg(long, value_name = "FILE.toml")]
    config: Option<PathBuf>,
    /// A single key laid over the configuration, e.g. `rollout.n=16`; may be given several times.
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Print the configuration that the run would have, with every key, and stop. Model and problems are not looked at.
    #[arg(long)]
    dry_run: bool,
    /// `svs`, `grpo` or `sft` [default: svs].
    #[arg(long, value_name = "RECIPE", value_parser = recipe)]
    recipe: Option<Recipe>,
    /// Steps to run [default: 20].
    #[arg(long, value_name = "N")]
    steps: Option<u64>,
    /// Seed of the run [default: 0].
    #[arg(long, value_name = "SEED")]
    seed: Option<u64>,
    /// Name of the run and its folder [default: recipe and seed].
    #[arg(long, value_name = "NAME")]
    run_id: Option<String>,
    /// Go on after the last checkpoint of the run.
    #[arg(long)]
    resume: bool,
    /// Folder for the trajectory log and the runs [default: runs].
    #[arg(long, value_name = "FOLDER")]
    runs: Option<PathBuf>,
}

fn recipe(name: &str) -> Result<Recipe, String> {
    Recipe::ALL
        .into_iter()
        .find(|recipe| recipe.name() == name)
        .ok_or_else(|| "the recipes are `svs`, `grpo` and `sft`".into())
}

/// Runs the command.
///
/// # Errors
/// The configuration, the model or the problems cannot be used, or the run fails.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let config = args.configuration()?;
    if args.dry_run {
        say(config.to_toml()?.trim_end());
        return Ok(ExitCode::SUCCESS);
    }
    let steps = config.steps;
    let stack = Stack::open(&args.model.stack(args.runs.clone()))?;
    let heard = stack.trainer.subscribe();
    stop_on_signal(stack.trainer.clone())?;
    stack.trainer.start(config, args.resume)?;
    show_progress(&heard, steps);
    let status = stack.trainer.wait();
    let folder = args
        .model
        .stack(args.runs)
        .runs_folder()
        .join(status.run_id.as_deref().unwrap_or_default());
    match (status.state, status.error) {
        (RunState::Failed, error) => {
            let (step, steps) = (status.step, status.steps);
            anyhow::bail!("after {step} of {steps} steps: {}", error.unwrap_or_default());
        }
        _ => say(&format!(
            "{} of {} steps done; model in {}",
            status.step,
            status.steps,
            folder.join("model").display()
        )),
    }
    Ok(ExitCode::SUCCESS)
}

impl Args {
    fn configuration(&self) -> anyhow::Result<TrainConfig> {
        let mut config = match &self.config {
            Some(path) => {
                let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
                TrainConfig::from_toml_with(&text, &self.set).with_context(|| path.display().to_string())?
            }
            None => TrainConfig::from_toml_with("", &self.set)?,
        };
        config.recipe = self.recipe.unwrap_or(config.recipe);
        config.steps = self.steps.unwrap_or(config.steps);
        config.seed = self.seed.unwrap_or(config.seed);
        config.run_id = self.run_id.clone().or(config.run_id);
        config.validate()?;
        Ok(config)
    }
}

#[expect(clippy::print_stdout, reason = "the result of the command")]
fn say(line: &str) {
    println!("{line}");
}

/// The first SIGINT or SIGTERM asks the run to stop; the second ends the process.
fn stop_on_signal(trainer: TrainerHandle) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut asked = {
        let _inside = runtime.enter();
        outlive_file_limit()?;
        Asked::listen()?
    };
    let wait = move || {
        runtime.block_on(async {
            let status = asked.next().await;
            match trainer.stop() {
                Ok(_) => tracing::info!("stopping after this step; a second SIGINT or SIGTERM ends at once"),
                Err(_) => std::process::exit(status),
            }
            std::process::exit(asked.next().await);
        });
    };
    std::thread::Builder::new().name("signals".into()).spawn(wait)?;
    Ok(())
}

/// Shows steps and phases until the run ends.
fn show_progress(heard: &Receiver<TrainStatus>, steps: u64) {
    let bar = ProgressBar::new(steps);
    let style = ProgressStyle::with_template("{elapsed_precise} {bar:24} step {pos}/{len}  {wide_msg}")
        .expect("a valid template");
    bar.set_style(style);
    bar.enable_steady_tick(Duration::from_millis(500));
    let mut shown = 0;
    for status in heard {
        bar.set_position(status.step);
        bar.set_message(phase(&status));
        if status.step > shown {
            shown = status.step;
            bar.println(summary(&status));
        }
        if matches!(status.state, RunState::Finished | RunState::Failed) {
            break;
        }
    }
    bar.finish_and_clear();
}

fn phase(status: &TrainStatus) -> String {
    match status.phase_total {
        0 => status.phase.clone(),
        all => format!("{} {}/{all}", status.phase, status.phase_done),
    }
}

/// One line per step: accuracy, the synthesis funnel, entropy, speed; or the loss, where answers are learned.
fn summary(status: &TrainStatus) -> String {
    let metric = |name: &str| status.metrics.get(name).copied().unwrap_or(f64::NAN);
    if status.metrics.contains_key("train/loss") {
        let line = format!(
            "step {:>4}  loss {:.4}  grad {:.3}  lr {:.2e}  {:.0} tok/s  {:.1} s",
            status.step,
            metric("train/loss"),
            metric("actor/grad_norm"),
            metric("actor/lr"),
            metric("perf/throughput"),
            metric("timing_s/step"),
        );
        let held_out = status.metrics.get("val/loss");
        return held_out.map_or(line.clone(), |loss| format!("{line}  held-out loss {loss:.4}"));
    }
    let mut line = format!(
        "step {:>4}  acc {:5.1} %  entropy {:.3}  grad {:.3}  {:.0} tok/s  {:.1} s",
        status.step,
        100.0 * metric("critic/score/mean"),
        metric("actor/entropy"),
        metric("actor/grad_norm"),
        metric("perf/gen_tokens_per_s"),
        metric("timing_s/step"),
    );
    if metric("svs/contexts") > 0.0 {
        line += &format!(
            "  contexts {} -> written {} -> valid {} -> rewarded {}",
            metric("svs/contexts"),
            metric("svs/synthesized"),
            metric("svs/valid"),
            metric("svs/rewarded"),
        );
    }
    line
}
