//! `svs bench train`.

use std::process::ExitCode;

use anyhow::bail;
use svs_engine::Precision;

use super::super::shared::parse_precision;
use super::{Common, within};
use crate::bench::{TrainLoad, TrainReport, measure_train};

/// Arguments of `svs bench train`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  svs bench train --model ./SmolLM2
  svs bench train --model ./SmolLM2 --prompt-tokens 192 --response-tokens 64
  svs bench train --model ./SmolLM2 --json

Prompts are random tokens, EOS is ignored, rewards alternate within a group, so that every row has a gradient. The first
step warms up and is not counted. `forward+backward` is measured apart on the rows of the update; the update has it, the
objective, the norm of the gradient and the optimizer.")]
pub struct Train {
    #[command(flatten)]
    common: Common,
    /// Problems of a step.
    #[arg(long, value_name = "N", default_value_t = 8)]
    problems: usize,
    /// Samples per problem, at least 2.
    #[arg(long, value_name = "N", default_value_t = 8)]
    samples: usize,
    /// Length of a prompt, tokens.
    #[arg(long, value_name = "N", default_value_t = 64)]
    prompt_tokens: usize,
    /// Length of a response, tokens.
    #[arg(long, value_name = "N", default_value_t = 128)]
    response_tokens: usize,
    /// Steps, of which the median is reported.
    #[arg(long, value_name = "N", default_value_t = 3)]
    repeat: usize,
    /// Tokens of one forward and backward.
    #[arg(long, value_name = "N", default_value_t = 4096)]
    micro_batch_tokens: usize,
    /// Storage of the weights that are served and trained through: `f32` or `bf16`; the masters are f32.
    #[arg(long, value_name = "PRECISION", value_parser = parse_precision, default_value = "f32")]
    weights: Precision,
}

/// Runs the command.
///
/// # Errors
/// As [`super::run`].
#[expect(clippy::print_stdout, reason = "the result of the command")]
pub(super) fn run(args: Train) -> anyhow::Result<ExitCode> {
    let bounds = [
        ("--problems", args.problems),
        ("--samples", args.samples),
        ("--prompt-tokens", args.prompt_tokens),
        ("--response-tokens", args.response_tokens),
        ("--repeat", args.repeat),
        ("--micro-batch-tokens", args.micro_batch_tokens),
    ];
    within(&bounds, args.common.threads)?;
    if args.samples < 2 {
        bail!("--samples must be at least 2: a group of one has no advantage");
    }
    let model = args.common.load()?;
    let storage = args.common.storage(args.weights);
    let load = TrainLoad {
        problems: args.problems,
        samples: args.samples,
        prompt_tokens: args.prompt_tokens,
        response_tokens: u32::try_from(args.response_tokens)?,
        repeat: args.repeat,
        threads: args.common.threads,
        micro_batch_tokens: args.micro_batch_tokens,
        seed: args.common.seed,
    };
    let report = TrainReport::new(&load, storage, &measure_train(model, storage, &load)?);
    if args.common.json {
        println!("{}", serde_json::to_string(&report)?);
    } else {
        print!("{}", report.render());
    }
    Ok(ExitCode::SUCCESS)
}
