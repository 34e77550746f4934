//! `svs sft`: the supervised stage.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use indicatif::{ProgressBar, ProgressStyle};
use svs_engine::load::{load, save};
use svs_trainer::Policy;
use svs_trainer::optim::{Decay, OptimConfig};
use svs_trainer::sft::{Progress, SftConfig, read_jsonl, train};

use crate::assets::model_source;

/// Arguments of `svs sft`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  svs sft --model ./SmolLM2 --input solutions.jsonl --output warm
  svs sft --input solutions.jsonl --output warm --lr 5e-5 --epochs 2 --batch-tokens 8192

An input line is a conversation, the last message being the one to learn,
  {\"messages\": [{\"role\": \"user\", \"content\": \"2 + 2?\"}, {\"role\": \"assistant\", \"content\": \"\\\\boxed{4}\"}]}
or plain text:
  {\"prompt\": \"2 + 2 = \", \"completion\": \"4\"}")]
pub struct Args {
    /// A Hugging Face folder, a .gguf file or a hub id; the embedded policy if absent.
    #[arg(long, value_name = "MODEL")]
    model: Option<String>,
    /// Examples, one JSON object per line.
    #[arg(long, value_name = "FILE.jsonl", required = true, num_args = 1..)]
    input: Vec<PathBuf>,
    /// Folder for the trained model; must not exist.
    #[arg(long, value_name = "FOLDER")]
    output: PathBuf,
    /// Peak learning rate.
    #[arg(long, value_name = "LR", default_value_t = SftConfig::default().optim.lr)]
    lr: f64,
    /// Passes over the examples.
    #[arg(long, value_name = "N", default_value_t = SftConfig::default().epochs)]
    epochs: usize,
    /// Tokens of one optimizer step.
    #[arg(long, value_name = "N", default_value_t = SftConfig::default().batch_tokens)]
    batch_tokens: usize,
    /// Examples longer than this are left out and counted.
    #[arg(long, value_name = "N", default_value_t = SftConfig::default().max_tokens)]
    max_tokens: usize,
    /// Stop after so many optimizer steps.
    #[arg(long, value_name = "N")]
    max_steps: Option<u64>,
    /// Optimizer steps of linear warm-up.
    #[arg(long, value_name = "N", default_value_t = 0)]
    warmup_steps: u64,
    /// Let the learning rate fall along half a cosine to a tenth.
    #[arg(long)]
    cosine: bool,
    /// Weight decay of matrices.
    #[arg(long, value_name = "W", default_value_t = SftConfig::default().optim.weight_decay)]
    weight_decay: f64,
    /// Order of the examples.
    #[arg(long, value_name = "SEED", default_value_t = 0)]
    seed: u64,
}

/// Runs the command.
///
/// # Errors
/// Model or examples cannot be read, a setting is out of range, or the output cannot be written.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    anyhow::ensure!(
        !args.output.exists(),
        "--output: {} exists; choose a new folder",
        args.output.display()
    );
    let source = model_source(args.model.as_deref())?;
    let model = load(&source).context("cannot load the model")?;
    let mut examples = Vec::new();
    for path in &args.input {
        examples.extend(read_jsonl(path, &model.tokenizer)?);
    }
    let count = examples.len();
    let config = args.configuration();
    let mut policy = Policy::new(model, 0);
    let bar = progress_bar();
    let report = train(&mut policy, examples, &config, |step| {
        bar.set_length(step.steps);
        bar.set_position(step.step);
        bar.set_message(format!(
            "loss {:.4}  grad {:.3}  lr {:.2e}",
            step.loss, step.grad_norm, step.lr
        ));
        Progress::Continue
    })?;
    bar.finish_and_clear();
    save(&args.output, policy.model(), policy.params())?;
    say(&format!(
        "{count} examples, {} steps, {} target tokens, loss {:.4} -> {:.4}, {} too long, {} steps skipped; model in {}",
        report.steps,
        report.target_tokens,
        report.first_loss,
        report.last_loss,
        report.too_long,
        report.skipped_steps,
        args.output.display()
    ));
    Ok(ExitCode::SUCCESS)
}

impl Args {
    fn configuration(&self) -> SftConfig {
        SftConfig {
            optim: OptimConfig {
                lr: self.lr,
                weight_decay: self.weight_decay,
                warmup_steps: self.warmup_steps,
                decay: if self.cosine { Decay::Cosine } else { Decay::Constant },
                min_lr_ratio: if self.cosine { 0.1 } else { 0.0 },
                ..SftConfig::default().optim
            },
            batch_tokens: self.batch_tokens,
            epochs: self.epochs,
            max_steps: self.max_steps,
            max_tokens: self.max_tokens,
            seed: self.seed,
            ..SftConfig::default()
        }
    }
}

#[expect(clippy::print_stdout, reason = "the result of the command")]
fn say(line: &str) {
    println!("{line}");
}

fn progress_bar() -> ProgressBar {
    let bar = ProgressBar::new(0);
    let style =
        ProgressStyle::with_template("{elapsed_precise} {bar:40} {pos}/{len}  {msg}").expect("a valid template");
    bar.set_style(style);
    bar
}
