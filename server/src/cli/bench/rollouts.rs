//! `svs bench rollouts`.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::bail;
use svs_engine::{Precision, WeightSet};

use super::super::shared::parse_precision;
use super::{Common, within};
use crate::bench::{Load, measure, render};

/// Arguments of `svs bench rollouts`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  svs bench rollouts --model ./SmolLM2 --batch 64
  svs bench rollouts --model ./SmolLM2 --batch 64 --group 8 --max-tokens 128
  svs bench rollouts --model ./SmolLM2 --batch 16 --json

Prompts are random tokens, EOS is ignored, tokens are drawn at temperature 1 with logprobs. Prefill lasts until every
sequence has its first token, decode from then to the last token. The shares are of the fused multiply-adds and the
bytes read that the machine was measured to do right before and after; a model that fits the caches can read more than
that.")]
pub struct Rollouts {
    #[command(flatten)]
    common: Common,
    /// Sequences at once.
    #[arg(long, value_name = "N", default_value_t = 64)]
    batch: usize,
    /// Length of a prompt, tokens.
    #[arg(long, value_name = "N", default_value_t = 64)]
    prompt_tokens: usize,
    /// New tokens of each sequence.
    #[arg(long, value_name = "N", default_value_t = 64)]
    max_tokens: u32,
    /// Samples per prompt; they share its KV blocks. Divides the batch.
    #[arg(long, value_name = "N", default_value_t = 1)]
    group: usize,
    /// Runs, of which the one with the median decode rate is reported.
    #[arg(long, value_name = "N", default_value_t = 3)]
    repeat: usize,
    /// Rows of one step; by default all prompts at once.
    #[arg(long, value_name = "N")]
    max_num_batched_tokens: Option<usize>,
    /// Storage of the weight matrices: `f32` or `bf16`.
    #[arg(long, value_name = "PRECISION", value_parser = parse_precision, default_value = "bf16")]
    weights: Precision,
}

/// Runs the command. Its result is what goes to stdout.
///
/// # Errors
/// A model that cannot be read, a number out of range, or a failing engine.
#[expect(clippy::print_stdout, reason = "the result of the command")]
pub fn run(args: Rollouts) -> anyhow::Result<ExitCode> {
    let bounds = [
        ("--batch", args.batch),
        ("--prompt-tokens", args.prompt_tokens),
        ("--group", args.group),
        ("--repeat", args.repeat),
    ];
    within(&bounds, args.common.threads)?;
    if args.max_tokens < 2 {
        bail!("--max-tokens must be at least 2: a decode rate needs two tokens");
    }
    if !args.batch.is_multiple_of(args.group) {
        bail!("--batch {} is not a multiple of --group {}", args.batch, args.group);
    }
    let model = args.common.load()?;
    let storage = args.common.storage(args.weights);
    let weights = Arc::new(WeightSet::pack_as(storage, &model.config, &model.params, 0, "base"));
    let load = Load {
        batch: args.batch,
        group: args.group,
        prompt_tokens: args.prompt_tokens,
        max_tokens: args.max_tokens,
        repeat: args.repeat,
        max_num_batched_tokens: args.max_num_batched_tokens,
        threads: args.common.threads,
        seed: args.common.seed,
    };
    let report = measure(&model, &weights, &load)?;
    if args.common.json {
        println!("{}", serde_json::to_string(&report)?);
    } else {
        print!("{}", render(&report));
    }
    Ok(ExitCode::SUCCESS)
}
