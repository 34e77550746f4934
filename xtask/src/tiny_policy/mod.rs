//! Trains the embedded policy from scratch, measures it through our own engine and writes `assets/tiny-policy`.

mod corpus;
mod initial;
mod measure;
mod recipe;
mod record;
mod tokenizer;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::bail;
use indicatif::{ProgressBar, ProgressStyle};
use svs_engine::load::{LoadedModel, ModelSource, load};
use svs_trainer::Policy;
use svs_trainer::sft::{self, Progress, SftReport};

use measure::{Bench, Effort};
use recipe::Recipe;

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
    /// Measure the policy in the output folder instead of training one.
    #[arg(long)]
    measure_only: bool,
    /// Fail if the checksums differ from those recorded in the output folder.
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
    let recorded = std::fs::read_to_string(folder.join(record::CHECKSUMS)).ok();
    let (model, training) = trained(&recipe)?;
    let sums = record::write_model(&folder, &model)?;
    println!("{sums}");
    if options.verify && recorded.as_deref() != Some(sums.as_str()) {
        bail!("the files differ from the checksums recorded before");
    }
    let figures = measured(&model, &recipe, effort, &training)?;
    println!("{figures}");
    std::fs::write(folder.join(record::FIGURES), figures)?;
    Ok(())
}

/// Tokenizer, corpus, supervised stage.
fn trained(recipe: &Recipe) -> anyhow::Result<(LoadedModel, String)> {
    let started = Instant::now();
    let tokenizer = tokenizer::train(&corpus::texts(recipe), recipe.vocab_size)?;
    let examples = corpus::examples(recipe, &tokenizer)?;
    let tokens: usize = examples
        .iter()
        .map(|example| example.prompt.len() + example.target.len())
        .sum();
    let mut policy = Policy::new(initial::model(recipe, tokenizer), 0);
    let size = policy.params().values.len();
    println!("{size} parameters, {} examples, {tokens} tokens", examples.len());
    let bar = ProgressBar::new(1).with_style(ProgressStyle::with_template("{bar:30} {pos}/{len} steps {eta} {msg}")?);
    let mut said = Instant::now();
    let report = sft::train(&mut policy, examples, &recipe.sft, |step| {
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
    println!("trained in {:.0} s", started.elapsed().as_secs_f64());
    let SftReport {
        steps,
        target_tokens,
        last_loss,
        ..
    } = report;
    let training = format!(
        "{steps} supervised steps over {tokens} tokens ({target_tokens} of them targets), last loss {last_loss:.3} nats."
    );
    Ok((policy.model().clone(), training))
}

fn measured(model: &LoadedModel, recipe: &Recipe, effort: Effort, training: &str) -> anyhow::Result<String> {
    let started = Instant::now();
    let bench = Bench::start(model, &recipe.prompts)?;
    let held_out = bench.held_out(effort.held_out)?;
    println!("{held_out}\nmeasured in {:.0} s", started.elapsed().as_secs_f64());
    let synthesis = bench.synthesis(effort.seeds)?;
    Ok(record::figures(model, training, &held_out, &synthesis))
}
