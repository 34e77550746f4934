//! Rollouts without a server: `svs bench rollouts` against `llama-batched-bench`.
//!
//! Both decode the same number of sequences in lockstep over prompts of random tokens, after a warm-up of the same shape.
//! A prefill rate is prompt tokens by the time until every sequence can go on; a decode rate is new tokens by the time from
//! there to the last. svs draws every token from its whole distribution and takes its logprob inside these times;
//! `llama-batched-bench` draws nothing: it feeds random tokens and only computes the logits.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, bail};
use serde_json::Value;

use crate::contestants::{Contestant, Row, Weights};
use crate::layout::Layout;
use crate::measure::{Figures, SvsShares};

/// Length of a prompt and number of new tokens.
const TOKENS: usize = 64;

/// One run of `batch` sequences: its decode rate, and for 64 of them the prefill rate too.
pub fn run(contestant: &Contestant, batch: usize, layout: &Layout) -> anyhow::Result<Vec<(Row, Figures)>> {
    let (decode, prefill) = match contestant {
        Contestant::Svs(weights) => svs(*weights, batch, layout)?,
        Contestant::LlamaCpp(weights, flash) => llama_cpp(*weights, *flash, batch, layout)?,
        Contestant::Url(url) => bail!("{url} can only be asked over HTTP"),
    };
    Ok(match batch {
        1 => vec![(Row::Decode1, decode)],
        16 => vec![(Row::Decode16, decode)],
        _ => vec![(Row::Decode64, decode), (Row::Prefill, prefill)],
    })
}

fn svs(weights: Weights, batch: usize, layout: &Layout) -> anyhow::Result<(Figures, Figures)> {
    let mut command = Command::new(&layout.svs);
    command.args(["bench", "rollouts", "--json", "--repeat", "1"]);
    command.arg("--model").arg(&layout.model);
    command.args(["--weights", weights.flag()]);
    for (flag, value) in [
        ("--batch", batch),
        ("--prompt-tokens", TOKENS),
        ("--max-tokens", TOKENS),
        ("--threads", layout.threads),
    ] {
        command.args([flag, &value.to_string()]);
    }
    let line = last_object(&mut command)?;
    let figure = |name: &str| number(&line, name);
    let shares = |fma: &str| -> anyhow::Result<SvsShares> {
        Ok(SvsShares {
            fma_peak_fraction: figure(fma)?,
            overhead_fraction: figure("overhead_fraction")?,
            machine_flops: figure("machine_flops")?,
            machine_read_bytes_per_second: figure("machine_read_bytes_per_second")?,
        })
    };
    let decode = Figures::of_svs(figure("decode_tokens_per_second")?, shares("fma_peak_fraction")?);
    let prefill = Figures::of_svs(
        figure("prefill_tokens_per_second")?,
        shares("prefill_fma_peak_fraction")?,
    );
    Ok((decode, prefill))
}

fn llama_cpp(weights: Weights, flash: bool, batch: usize, layout: &Layout) -> anyhow::Result<(Figures, Figures)> {
    let mut command = Command::new(layout.llama("llama-batched-bench"));
    command.arg("-m").arg(layout.converted(weights));
    // The run with two new tokens is the warm-up: it touches the weights, the cache and the buffers.
    command.args(["-npp", &TOKENS.to_string(), "-ntg", &format!("2,{TOKENS}")]);
    command.args(["-npl", &batch.to_string()]);
    command.args(["-c", &(batch * 2 * TOKENS).to_string()]);
    command.args(["-fa", if flash { "on" } else { "off" }, "--output-format", "jsonl"]);
    let threads = layout.threads.to_string();
    command.args(["-t", &threads, "-tb", &threads]);
    let line = last_object(&mut command)?;
    if number(&line, "tg")? as usize != TOKENS || number(&line, "pl")? as usize != batch {
        bail!("llama-batched-bench left out what was asked for: its last run is {line}");
    }
    let rate = |name: &str| number(&line, name).map(Figures::of_peer);
    Ok((rate("speed_tg")?, rate("speed_pp")?))
}

/// Runs a program and reads the last line of its output that is a JSON object.
fn last_object(command: &mut Command) -> anyhow::Result<Value> {
    let program = PathBuf::from(command.get_program());
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot start {}", program.display()))?;
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        bail!("{} failed ({}): {said}", program.display(), output.status);
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let object = text.lines().rev().chain(said.lines().rev());
    let mut objects = object.filter_map(|line| serde_json::from_str::<Value>(line).ok().filter(Value::is_object));
    objects
        .next()
        .with_context(|| format!("{} printed no JSON", program.display()))
}

fn number(line: &Value, name: &str) -> anyhow::Result<f64> {
    line[name]
        .as_f64()
        .with_context(|| format!("`{name}` is missing in {line}"))
}
