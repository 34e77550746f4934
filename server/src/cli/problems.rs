//! `svs problems`: files of hard tasks with their own graders, to train and to evaluate on.

use std::collections::HashSet;
use std::fs::OpenOptions;
use std::io::{BufWriter, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Value;
use svs_trainer::seeds::derive;
use svs_verifier::quality::{MAX_SIZE, MIN_SIZE, TASKS, problem};

/// Most lines of a file.
const MAX_COUNT: usize = 1_000_000;
/// How often another instance is drawn where one was drawn before, or where the heuristic finds no answer.
const MAX_DRAWS: u64 = 64;

/// Arguments of `svs problems`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  svs problems --task knapsack --count 100 --seed 1 --output knapsack.jsonl
  svs problems --task all --size 5..20 --count 2000 --output train.jsonl     ten tasks in turn, small ones first
  svs train --recipe grpo --set problems.source=files --set 'problems.files=[\"train.jsonl\"]'
  svs eval --problems knapsack.jsonl
  svs problems --task max_cut | head -1 | jq .question

Tasks: travelling_salesman, knapsack, graph_colouring, independent_set, set_cover, bin_packing, hamiltonian_path, max_cut,
vertex_cover, scheduling.

A line has `id`, `question`, `instance`, `reference` (the objective that a heuristic reaches) and `grader`, so that svs train
and svs eval judge answers without further settings: 0 for one that is not feasible, else how good it is beside the
reference, at most 1 (docs/graders.md). Rewards between 0 and 1 need an estimator such as grpo. The same task, size, count
and seed give the same file; no two lines are the same.")]
pub struct Args {
    /// Which task, or `all` of them in turn.
    #[arg(long, value_name = "TASK|all", value_parser = task)]
    task: String,
    /// Nodes, items, elements or jobs of a problem: a number, or a range through which they rise from line to line.
    #[arg(long, value_name = "N|N..M", default_value = "6..12", value_parser = sizes)]
    size: (usize, usize),
    /// Problems to write.
    #[arg(long, value_name = "N", default_value_t = 100)]
    count: usize,
    /// Seed of the instances.
    #[arg(long, value_name = "SEED", default_value_t = 0)]
    seed: u64,
    /// The file to write; standard output if absent.
    #[arg(long, short, value_name = "FILE.jsonl")]
    output: Option<PathBuf>,
    /// Overwrite the output.
    #[arg(long)]
    force: bool,
}

fn task(name: &str) -> Result<String, String> {
    match name == "all" || TASKS.contains(&name) {
        true => Ok(name.to_owned()),
        false => Err(format!("the tasks are {} and all", TASKS.join(", "))),
    }
}

fn sizes(text: &str) -> Result<(usize, usize), String> {
    let (least, most) = text.split_once("..").unwrap_or((text, text));
    let read = |part: &str| part.trim().parse::<usize>().ok();
    match (read(least), read(most)) {
        (Some(least), Some(most)) if MIN_SIZE <= least && least <= most && most <= MAX_SIZE => Ok((least, most)),
        _ => Err(format!(
            "a number, or a range such as 6..12, within {MIN_SIZE}..{MAX_SIZE}"
        )),
    }
}

/// Runs the command.
///
/// # Errors
/// So many different problems of that size were not found, or the output cannot be written.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let count = args.count;
    anyhow::ensure!((1..=MAX_COUNT).contains(&count), "--count must lie in 1..={MAX_COUNT}");
    let mut output: Box<dyn Write> = match &args.output {
        None => Box::new(std::io::stdout().lock()),
        Some(path) => {
            let mut options = OpenOptions::new();
            options
                .write(true)
                .create(true)
                .truncate(args.force)
                .create_new(!args.force);
            let file = options.open(path);
            Box::new(file.with_context(|| format!("--output {}: not written (--force overwrites)", path.display()))?)
        }
    };
    let style = ProgressStyle::with_template("{elapsed_precise} {bar:40} {pos}/{len} problems");
    let bar = ProgressBar::new(count as u64).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    let mut writer = BufWriter::new(&mut output);
    for row in rows(&args) {
        serde_json::to_writer(&mut writer, &row?).context("cannot write the problems")?;
        writer.write_all(b"\n").context("cannot write the problems")?;
        bar.inc(1);
    }
    writer.flush().context("cannot write the problems")?;
    bar.finish_and_clear();
    Ok(ExitCode::SUCCESS)
}

/// The rows, one after the other, no two with the same question.
fn rows(args: &Args) -> impl Iterator<Item = anyhow::Result<Value>> {
    let tasks: Vec<&str> = match args.task.as_str() {
        "all" => TASKS.to_vec(),
        one => vec![one],
    };
    let (least, most) = args.size;
    let mut seen = HashSet::new();
    (0..args.count).map(move |at| {
        let (task, size) = (tasks[at % tasks.len()], least + at * (most - least + 1) / args.count);
        let names = ["problems", task, &args.seed.to_string(), &at.to_string()];
        for draw in 0..MAX_DRAWS {
            let Some(row) = problem(task, size, derive(&names).wrapping_add(draw)) else {
                continue;
            };
            // 64 bits of each question: of a million different ones, two are taken for the same once in 37 million files.
            if seen.insert(derive(&["question", row["question"].as_str().unwrap_or_default()])) {
                return Ok(row);
            }
        }
        anyhow::bail!(
            "--size: there are not so many different problems of `{task}` of size {size}; raise it, or lower --count"
        )
    })
}

#[cfg(test)]
mod tests;
