//! `svs eval`: how well a model solves problems.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context;
use indicatif::{ProgressBar, ProgressStyle};
use svs_engine::load::load;
use svs_engine::{EngineHandle, WeightSet};
use svs_trainer::Problem;
use svs_trainer::eval::{EvalConfig, EvalReport, evaluate};
use svs_trainer::problems::FileOptions;
use svs_trainer::problems::procedural::Split;
use svs_trainer::reward::{EndpointConfigs, RewardConfig};
use svs_trainer::run::source;

use super::shared::{CodeArgs, ModelArgs};
use crate::assets::model_source;

/// Arguments of `svs eval`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  svs eval                                              the embedded policy on 200 held-out generated problems
  svs eval --model runs/svs-seed0/model                 a trained policy on the same problems
  svs eval --model ./SmolLM2 --data test.jsonl --k 1,8,32 --seed 1 --json
  svs eval --data test.jsonl --grader rubric.json --endpoints judges.toml

pass@k is the chance that one of k samples is right, avg@k their mean accuracy, maj@k the chance that their most frequent
answer is right; all are averages over every draw of k of the samples. Answer entropy says how much the samples disagree,
in nats. Each figure has a 95 % interval from resampling problems; problems of several sources have a table each. The
same model, problems and seed give the same figures. Samples that the grader itself could not grade are in no figure and counted
apart; the exit code is 1 if there are no others.")]
pub struct Args {
    #[command(flatten)]
    model: ModelArgs,
    /// Files of problems: JSONL, JSON or Parquet with question and answer columns.
    #[arg(long, visible_alias = "data", value_name = "FILE", num_args = 1..)]
    problems: Vec<PathBuf>,
    /// Columns of the question, joined in order; dotted paths reach into objects [default: by known schemas].
    #[arg(long, value_name = "COLUMN", num_args = 1..)]
    question: Vec<String>,
    /// Column of the answer [default: by known schemas].
    #[arg(long, value_name = "COLUMN")]
    answer: Option<String>,
    /// Only the problems that training with this `problems.held_out_fraction` leaves out.
    #[arg(long, value_name = "FRACTION")]
    held_out: Option<f64>,
    /// Without --problems: so many generated problems.
    #[arg(long, value_name = "N", default_value_t = 200, conflicts_with = "problems")]
    procedural: usize,
    /// Seed of the generated problems.
    #[arg(long, value_name = "SEED", default_value_t = 0, conflicts_with = "problems")]
    problem_seed: u64,
    /// Generate problems of the training split instead of the held-out one.
    #[arg(long, conflicts_with = "problems")]
    train_split: bool,
    /// Use only the first N problems.
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// Samples per problem [default: 8, or the largest --k].
    #[arg(long, value_name = "N")]
    samples: Option<u32>,
    /// The k of pass@k, avg@k and maj@k, at most --samples [default: the powers of two and --samples].
    #[arg(long, value_name = "K,K", value_delimiter = ',')]
    k: Vec<u32>,
    /// Temperature of the samples.
    #[arg(long, value_name = "T", default_value_t = EvalConfig::default().temperature)]
    temperature: f32,
    /// Nucleus mass of the samples.
    #[arg(long, value_name = "P", default_value_t = EvalConfig::default().top_p)]
    top_p: f32,
    /// Longest response, tokens [default: what the context length leaves, at most 1024].
    #[arg(long, value_name = "N")]
    max_tokens: Option<u32>,
    /// Do not measure greedy accuracy.
    #[arg(long)]
    no_greedy: bool,
    /// Only a boxed answer counts, and exactly one distinct candidate.
    #[arg(long)]
    strict: bool,
    /// A grader's specification, or a file of it, for problems that bring none [default: mathematics].
    #[arg(long, value_name = "FILE|JSON", conflicts_with = "strict")]
    grader: Option<String>,
    /// What graders may ask over HTTP: tables by name, as below `[reward.endpoints]` (docs/graders.md).
    #[arg(long, value_name = "FILE.toml")]
    endpoints: Option<PathBuf>,
    #[command(flatten)]
    code: CodeArgs,
    /// Seed of samples and intervals.
    #[arg(long, value_name = "SEED", default_value_t = 0)]
    seed: u64,
    /// Print JSON with the counts of every problem instead of a table.
    #[arg(long)]
    json: bool,
    /// Also write the JSON to a file.
    #[arg(long, value_name = "FILE.json")]
    output: Option<PathBuf>,
}

/// Runs the command.
///
/// # Errors
/// Model or problems cannot be read, a setting is out of range, or the engine fails.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let samples = args.samples()?;
    let problems = args.read_problems()?;
    let reward = RewardConfig {
        grader: args.code.grader(args.grader.as_deref())?,
        endpoints: match &args.endpoints {
            Some(path) => super::shared::endpoints(path)?,
            None => EndpointConfigs::new(),
        },
        code: args.code.sandbox(),
        ..RewardConfig::default()
    };
    let source = model_source(args.model.model.as_deref())?;
    let model = load(&source).context("cannot load the model")?;
    let prompts = source::prompts(None, &model)?;
    let engine = args.model.engine();
    let weights = Arc::new(WeightSet::pack_as(
        engine.storage(),
        &model.config,
        &model.params,
        0,
        "base",
    ));
    let engine = EngineHandle::start(weights, model.tokenizer.clone(), engine).context("cannot start the engine")?;
    let longest = u32::try_from(engine.max_model_len() / 2).unwrap_or(u32::MAX).min(1024);
    let config = EvalConfig {
        samples,
        k: args.k.clone(),
        temperature: args.temperature,
        top_p: args.top_p,
        max_tokens: args.max_tokens.unwrap_or(longest),
        greedy: !args.no_greedy,
        seed: args.seed,
        strict: args.strict,
        reward,
        ..EvalConfig::default()
    };
    let bar = progress_bar();
    let began = Instant::now();
    let report = evaluate(&engine, &problems, &prompts, &config, |done, all| {
        bar.set_length(all as u64);
        bar.set_position(done as u64);
    })?;
    bar.finish_and_clear();
    let seconds = began.elapsed().as_secs_f64();
    tracing::info!(
        "{} tokens in {seconds:.1} s, {:.0} tokens/s",
        report.tokens,
        report.tokens as f64 / seconds
    );
    args.show(&report)?;
    if report.is_empty() {
        tracing::error!("no sample could be graded; the figures say nothing (--json has the counts)");
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

impl Args {
    /// Samples per problem: as many as the largest k needs, if nothing is said.
    fn samples(&self) -> anyhow::Result<u32> {
        let largest = self.k.iter().max().copied();
        let default = largest.unwrap_or(EvalConfig::default().samples);
        let samples = self.samples.unwrap_or(default);
        if let Some(k) = largest.filter(|k| *k > samples) {
            anyhow::bail!("--k {k} exceeds --samples {samples}: nothing is extrapolated");
        }
        Ok(samples)
    }

    fn columns(&self) -> FileOptions {
        FileOptions {
            question: self.question.clone(),
            answer: self.answer.clone(),
            keep_rows: self.grader.is_some(),
            ..FileOptions::default()
        }
    }

    fn read_problems(&self) -> anyhow::Result<Vec<Problem>> {
        let of_files = [
            ("--question", !self.question.is_empty()),
            ("--answer", self.answer.is_some()),
            ("--held-out", self.held_out.is_some()),
        ];
        if let Some((flag, _)) = of_files.iter().find(|(_, given)| *given && self.problems.is_empty()) {
            anyhow::bail!("{flag} is about files: it needs --problems FILE");
        }
        let split = if self.train_split { Split::Train } else { Split::HeldOut };
        let mut problems = match self.problems.as_slice() {
            [] => source::procedural(self.problem_seed, split, self.procedural),
            files => {
                let all = source::read_files(files, &self.columns(), "--problems")?;
                match self.held_out {
                    Some(fraction) => source::split_files(all, fraction)?.1,
                    None => all,
                }
            }
        };
        problems.truncate(self.limit.unwrap_or(usize::MAX));
        anyhow::ensure!(!problems.is_empty(), "--problems: there are none to evaluate on");
        Ok(problems)
    }

    fn show(&self, report: &EvalReport) -> anyhow::Result<()> {
        let json = serde_json::to_string_pretty(report)?;
        let mut stdout = std::io::stdout().lock();
        let shown = match self.json {
            true => writeln!(stdout, "{json}"),
            false => writeln!(stdout, "{report}"),
        };
        // The one that works must not be lost to the other.
        let shown = shown.and_then(|()| stdout.flush()).context("cannot write the figures");
        if let Some(path) = &self.output {
            std::fs::write(path, &json).with_context(|| format!("cannot write {}", path.display()))?;
        }
        shown
    }
}

fn progress_bar() -> ProgressBar {
    let bar = ProgressBar::new(0);
    let style =
        ProgressStyle::with_template("{elapsed_precise} {bar:40} {pos}/{len} requests").expect("a valid template");
    bar.set_style(style);
    bar
}
