//! Trains the embedded policy from scratch, measures it through our own engine and writes `assets/tiny-policy`.

mod corpus;
mod initial;
mod measure;
mod recipe;
mod record;
mod tokenizer;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use indicatif::{ProgressBar, ProgressStyle};
use svs_engine::load::{LoadedModel, ModelSource, load, save};
use svs_trainer::Policy;
use svs_trainer::sft::{self, Progress, SftReport};

use measure::{Bench, Effort};
use recipe::{Recipe, Stage};

/// Time between two lines of progress where there is no terminal.
const REPORT: Duration = Duration::from_secs(20);

/// Options of `cargo xtask tiny-policy`.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Folder to write; the default is the one that is embedded.
    #[arg(long, value_name = "FOLDER")]
    output: Option<PathBuf>,
    /// Another recipe than xtask/src/tiny_policy/recipe.json.
    #[arg(long, value_name = "FILE")]
    recipe: Option<PathBuf>,
    /// Train only the last stage, on top of the policy in this folder, e.g. target/tiny-policy-stage-1.
    #[arg(long, value_name = "FOLDER")]
    last_stage_of: Option<PathBuf>,
    /// Measure the policy in the output folder instead of training one.
    #[arg(long)]
    measure_only: bool,
    /// Train, compare the checksums with those recorded in the output folder, and leave the folder as it is.
    #[arg(long)]
    verify: bool,
    /// Held-out problems to measure on.
    #[arg(long, default_value_t = 400)]
    held_out: usize,
    /// Training problems from which synthesis is measured.
    #[arg(long, default_value_t = 200)]
    seeds: usize,
}

/// Runs the task.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let recipe = Recipe::read(options.recipe.as_deref())?;
    let folder = options
        .output
        .clone()
        .unwrap_or_else(|| crate::repo::root().join("assets").join("tiny-policy"));
    let effort = Effort {
        held_out: options.held_out,
        seeds: options.seeds,
    };
    if options.measure_only {
        let model = load(&ModelSource::Folder(folder))?;
        println!("{}", measured(&model, &recipe, effort, "")?);
        return Ok(());
    }
    let recorded = options.verify.then(|| record::read_checksums(&folder)).transpose()?;
    let (model, training) = trained(&recipe, options.last_stage_of.as_deref())?;
    let sums = record::stage(&model)?;
    println!("{sums}");
    if let Some(recorded) = recorded {
        ensure!(
            recorded == sums,
            "the files in target/tiny-policy differ from the checksums recorded in {}:\n{recorded}",
            folder.display()
        );
        println!("as recorded in {}", folder.display());
        return Ok(());
    }
    record::install(&folder, &sums)?;
    let figures = measured(&model, &recipe, effort, &training)?;
    println!("{figures}");
    std::fs::write(folder.join(record::FIGURES), figures)?;
    Ok(())
}

/// Tokenizer and supervised stages, or the last stage on top of `earlier`.
fn trained(recipe: &Recipe, earlier: Option<&Path>) -> anyhow::Result<(LoadedModel, String)> {
    let started = Instant::now();
    let (model, first) = match earlier {
        Some(folder) => (
            load(&ModelSource::Folder(folder.into()))?,
            recipe.stages.len().saturating_sub(1),
        ),
        None => {
            let tokenizer = tokenizer::train(&corpus::texts(recipe), recipe.vocab_size)?;
            (initial::model(recipe, tokenizer), 0)
        }
    };
    println!("{} parameters", model.params.values.len());
    let mut policy = Policy::new(model, 0);
    let mut training = String::new();
    for index in first + 1..recipe.stages.len() {
        clear_stage(index)?;
    }
    for (index, stage) in recipe.stages.iter().enumerate().skip(first) {
        training += &format!("Stage {}: {}. ", index + 1, train_stage(&mut policy, recipe, stage)?);
        if index + 1 < recipe.stages.len() {
            let folder = stage_folder(index + 1);
            save(&folder, policy.model(), policy.params())?;
            println!("stage {} saved in {}", index + 1, folder.display());
        }
    }
    println!("trained in {:.0} s", started.elapsed().as_secs_f64());
    let model = LoadedModel {
        params: policy.params().clone(),
        ..policy.model().clone()
    };
    Ok((model, training))
}

/// Where the policy is kept after stage `number`, counted from 1.
fn stage_folder(number: usize) -> PathBuf {
    crate::repo::target().join(format!("tiny-policy-stage-{number}"))
}

/// Removes what an earlier run kept of a stage, before the minutes of training rather than after them.
fn clear_stage(number: usize) -> anyhow::Result<()> {
    let folder = stage_folder(number);
    match std::fs::remove_dir_all(&folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error).context(folder.display().to_string()),
        _ => Ok(()),
    }
}

fn train_stage(policy: &mut Policy, recipe: &Recipe, stage: &Stage) -> anyhow::Result<String> {
    let started = Instant::now();
    let examples = corpus::examples(&stage.corpus, &recipe.prompts, &policy.model().tokenizer)?;
    let tokens: usize = examples
        .iter()
        .map(|example| example.prompt.len() + example.target.len())
        .sum();
    println!("{} examples, {tokens} tokens", examples.len());
    let bar = ProgressBar::new(1).with_style(ProgressStyle::with_template("{bar:30} {pos}/{len} steps {eta} {msg}")?);
    let mut said = Instant::now();
    let report = sft::train(policy, examples, &stage.sft, |step| {
        bar.set_length(step.steps);
        bar.set_position(step.step);
        bar.set_message(format!("loss {:.3}", step.loss));
        if bar.is_hidden() && said.elapsed() > REPORT {
            said = Instant::now();
            let seconds = started.elapsed().as_secs();
            println!(
                "step {}/{} loss {:.4} lr {:.2e} {seconds} s",
                step.step, step.steps, step.loss, step.lr
            );
        }
        Progress::Continue
    })?;
    bar.finish_and_clear();
    let SftReport {
        steps,
        target_tokens,
        last_loss,
        ..
    } = report;
    Ok(format!(
        "{steps} steps over {tokens} tokens ({target_tokens} of them targets), last loss {last_loss:.3} nats"
    ))
}

fn measured(model: &LoadedModel, recipe: &Recipe, effort: Effort, training: &str) -> anyhow::Result<String> {
    let started = Instant::now();
    let bench = Bench::start(model, &recipe.prompts)?;
    let held_out = bench.held_out(effort.held_out)?;
    println!("{held_out}\nmeasured in {:.0} s", started.elapsed().as_secs_f64());
    let synthesis = bench.synthesis(effort.seeds)?;
    Ok(record::figures(model, training, &held_out, &synthesis))
}
