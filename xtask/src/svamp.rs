//! Supervised examples from SVAMP's Equation column, for warming up a model that cannot solve anything yet.
//!
//! Only rows that training with the same `problems.held_out_fraction` sees are used, so that `svs eval --held-out`
//! measures on problems of which the model has seen neither question nor solution.

use std::collections::HashMap;
use std::fmt::Write;
use std::path::PathBuf;

use anyhow::Context;
use serde::Deserialize;
use serde_json::json;
use svs_trainer::problems::files::FileOptions;
use svs_trainer::run::source::{read_files, split_files};
use svs_trainer::svs::Prompts;

/// Options of `cargo xtask svamp`.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// SVAMP as JSON.
    #[arg(long, value_name = "FILE.json")]
    pub(crate) input: PathBuf,
    /// Examples to write, for `svs sft --input`.
    #[arg(long, value_name = "FILE.jsonl")]
    pub(crate) output: PathBuf,
    /// `problems.held_out_fraction` of the run to come.
    #[arg(long, default_value_t = 0.2)]
    pub(crate) held_out: f64,
    /// One example in so many asks for the problem to a solution instead of the solution to a problem; 0: none does.
    #[arg(long, default_value_t = 4)]
    pub(crate) synthesis_every: usize,
}

/// The columns that make a solution.
#[derive(Debug, Deserialize)]
struct Row {
    #[serde(rename = "ID")]
    id: String,
    #[serde(rename = "Equation")]
    equation: String,
}

/// Writes the examples.
///
/// # Errors
/// A file that cannot be read or written.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    write(options, &FileOptions::default())
}

/// As [`run`], of problems that are read, and so split, by `columns`.
pub(crate) fn write(options: &Options, columns: &FileOptions) -> anyhow::Result<()> {
    let text = std::fs::read_to_string(&options.input).with_context(|| options.input.display().to_string())?;
    let rows: Vec<Row> = serde_json::from_str(&text).with_context(|| options.input.display().to_string())?;
    let equations: HashMap<String, String> = rows.into_iter().map(|row| (row.id, row.equation)).collect();
    let problems = read_files(std::slice::from_ref(&options.input), columns, "input")?;
    let (training, held_out) = split_files(problems, options.held_out)?;
    let prompts = Prompts::default();
    let mut lines = String::new();
    for (index, problem) in training.iter().enumerate() {
        let equation = equations
            .get(&problem.id)
            .with_context(|| format!("{} has no equation", problem.id))?;
        let solution = solution(equation, &problem.answer);
        let writes = options.synthesis_every > 0 && index % options.synthesis_every == 0;
        let (mut messages, answer) = if writes {
            let fenced = format!("```text\n{}\n```", problem.question);
            (prompts.synthesis_messages(&solution), fenced)
        } else {
            (prompts.solve_messages(&problem.question), solution)
        };
        messages.push(svs_engine::text::ChatMessage::new("assistant", &answer));
        writeln!(lines, "{}", json!({ "messages": messages }))?;
    }
    std::fs::write(&options.output, lines).with_context(|| options.output.display().to_string())?;
    println!(
        "{} examples in {}; {} problems are held out",
        training.len(),
        options.output.display(),
        held_out.len()
    );
    Ok(())
}

/// `( 48.0 - 19.0 )` and `29` as `48-19=29` and the boxed answer.
fn solution(equation: &str, answer: &str) -> String {
    let spaced = equation.replace('(', " ( ").replace(')', " ) ");
    let terms: String = spaced
        .split_whitespace()
        .map(|term| term.strip_suffix(".0").unwrap_or(term))
        .collect();
    let outer = terms.strip_prefix('(').and_then(|inner| inner.strip_suffix(')'));
    // Brackets around the whole are none that close and open again inside.
    let bare = outer.filter(|inner| balanced(inner)).unwrap_or(&terms);
    format!("{bare}={answer}\n\\boxed{{{answer}}}")
}

fn balanced(text: &str) -> bool {
    let mut depth = 0_i32;
    text.chars().all(|c| {
        depth += i32::from(c == '(') - i32::from(c == ')');
        depth >= 0
    }) && depth == 0
}

#[cfg(test)]
#[path = "svamp_tests.rs"]
mod tests;
