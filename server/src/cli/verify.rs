//! `svs verify`: grades a JSONL file of predictions, one verdict per line.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::Context;
use serde::{Deserialize, Serialize};
use svs_verifier::{MathOptions, Verdict, grade_math};

/// Arguments of `svs verify`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  svs verify --input predictions.jsonl
  svs verify --input predictions.jsonl --output verdicts.jsonl

An input line:   {\"id\": \"q1\", \"prediction\": \"... so \\\\boxed{42}\", \"gold\": \"42\"}
Its output line: {\"id\":\"q1\",\"correct\":true,\"verdict\":\"correct\",\"extracted\":\"42\",\"micros\":18,\"steps\":97}

A line that does not parse is reported on stderr with its number, the others are still graded, and the exit code is 1.")]
pub struct Args {
    /// Predictions, one JSON object per line: id, prediction, gold.
    #[arg(long, value_name = "FILE.jsonl")]
    pub input: PathBuf,
    /// Where the verdicts go; standard output if absent.
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Only a boxed answer counts, and exactly one distinct candidate.
    #[arg(long)]
    pub strict: bool,
    /// Steps that grading one line may take.
    #[arg(long, value_name = "N", default_value_t = MathOptions::default().max_steps)]
    pub max_steps: u64,
}

/// A prediction to grade; other keys of the line are ignored.
#[derive(Debug, Deserialize)]
struct Line {
    id: serde_json::Value,
    prediction: String,
    gold: String,
}

#[derive(Debug, Serialize)]
struct Graded<'a> {
    id: &'a serde_json::Value,
    correct: bool,
    verdict: Verdict,
    extracted: Option<String>,
    micros: u64,
    steps: u64,
}

/// Runs the command.
///
/// # Errors
/// The input cannot be read or the output not written. Bad lines are not errors here; they end in exit code 1.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let input = File::open(&args.input).with_context(|| format!("cannot open {}", args.input.display()))?;
    anyhow::ensure!(args.max_steps > 0, "--max-steps must be at least 1");
    let output: Box<dyn Write> = match &args.output {
        Some(path) if is_same_file(&args.input, path) => {
            anyhow::bail!("--output is the input, {}; choose another file", path.display())
        }
        Some(path) => Box::new(File::create(path).with_context(|| format!("cannot create {}", path.display()))?),
        None => Box::new(std::io::stdout().lock()),
    };
    let options = MathOptions {
        strict: args.strict,
        max_steps: args.max_steps,
        ..MathOptions::default()
    };
    let name = args.input.display().to_string();
    let bad = grade_lines(
        BufReader::new(input),
        BufWriter::new(output),
        &mut std::io::stderr(),
        &name,
        &options,
    )?;
    Ok(if bad == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Whether creating `output` would empty `input`: through the same name, a link to it, or a second name of it.
fn is_same_file(input: &Path, output: &Path) -> bool {
    let (Ok(from), Ok(to)) = (fs::metadata(input), fs::metadata(output)) else {
        return false;
    };
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        from.is_file() && (from.dev(), from.ino()) == (to.dev(), to.ino())
    }
    #[cfg(not(unix))]
    {
        from.is_file() && to.is_file() && fs::canonicalize(input).ok() == fs::canonicalize(output).ok()
    }
}

/// Grades every line of `input`; returns how many could not be read. Those are reported to `errors` with their number.
fn grade_lines(
    input: impl BufRead,
    mut output: impl Write,
    errors: &mut impl Write,
    name: &str,
    options: &MathOptions,
) -> anyhow::Result<usize> {
    let mut bad = 0;
    for (index, bytes) in input.split(b'\n').enumerate() {
        let bytes = bytes.with_context(|| format!("cannot read {name}"))?;
        if bytes.trim_ascii().is_empty() {
            continue;
        }
        match serde_json::from_slice::<Line>(&bytes) {
            Ok(line) => write_grade(&mut output, &line, options).context("cannot write the verdicts")?,
            Err(error) => {
                bad += 1;
                writeln!(errors, "{name}:{}: {error}", index + 1).context("cannot write to stderr")?;
            }
        }
    }
    output.flush().context("cannot write the verdicts")?;
    Ok(bad)
}

fn write_grade(output: &mut impl Write, line: &Line, options: &MathOptions) -> anyhow::Result<()> {
    let started = Instant::now();
    let grade = grade_math(&line.prediction, &line.gold, options);
    let micros = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
    let graded = Graded {
        id: &line.id,
        correct: grade.verdict == Verdict::Correct,
        verdict: grade.verdict,
        extracted: grade.extracted,
        micros,
        steps: grade.steps,
    };
    serde_json::to_writer(&mut *output, &graded)?;
    output.write_all(b"\n")?;
    Ok(())
}

#[cfg(test)]
mod tests;
