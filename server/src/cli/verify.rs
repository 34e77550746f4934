//! `svs verify`: grades a JSONL file of predictions, one verdict per line.

use std::fs::{self, File};
use std::io::{BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use grading::Grading;
use indicatif::{ProgressBar, ProgressStyle};
use svs_verifier::sandbox::Sandbox;
use svs_verifier::spec::GraderSpec;
use svs_verifier::{MathOptions, Profile};

use super::shared::CodeArgs;

/// Arguments of `svs verify`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  svs verify --input predictions.jsonl
  svs verify --input predictions.jsonl --output verdicts.jsonl
  svs verify --input predictions.jsonl --explain
  svs verify --input predictions.jsonl --grader grader.json
  svs verify --input programs.jsonl --grader code.json --run-code strict
  svs verify --input predictions.jsonl --grader '{\"type\": \"regex\", \"name\": \"number\", \"pattern\": \"^[0-9]+$\"}'
  svs verify --input predictions.jsonl --grader '{\"type\": \"string_check\", \"name\": \"same\", \"operation\": \"eq\",
      \"input\": \"{{ sample.output_text }}\", \"reference\": \"{{ item.label }}\"}'

An input line:   {\"id\": \"q1\", \"prediction\": \"... so \\\\boxed{42}\", \"gold\": \"42\"}
Its output line: {\"id\":\"q1\",\"correct\":true,\"verdict\":\"correct\",\"extracted\":\"42\",\"micros\":18,\"steps\":97,\"rule\":\"equal\"}

With --grader, a line needs id and prediction; templates see the whole line as `item` and the prediction as `sample`.
Types: string_check, text_similarity, math, choice, regex, json_schema, format, code, quality, multi (docs/graders.md). Its output line:
{\"id\":\"q1\",\"reward\":0.5,\"fault\":null,\"rule\":\"rouge_l\",\"parts\":{},\"micros\":9,\"steps\":40}

A line that does not parse is reported on stderr with its number, the others are still graded, and the exit code is 1.
A summary by verdict goes to stderr.")]
pub struct Args {
    /// Predictions, one JSON object per line: id, prediction, gold.
    #[arg(long, value_name = "FILE.jsonl")]
    pub input: PathBuf,
    /// Where the verdicts go; standard output if absent.
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// A grader's specification, or a file of it, in place of the mathematics grader with its defaults (docs/graders.md).
    #[arg(long, value_name = "FILE|JSON", conflicts_with_all = ["strict", "explain", "svs_parity"])]
    pub grader: Option<String>,
    #[command(flatten)]
    code: CodeArgs,
    /// Only a boxed answer counts, and exactly one distinct candidate.
    #[arg(long)]
    pub strict: bool,
    /// Steps that grading one line may take.
    #[arg(long, value_name = "N", default_value_t = MathOptions::default().max_steps)]
    pub max_steps: u64,
    /// Add to each line how both sides were read and what found the answer.
    #[arg(long)]
    pub explain: bool,
    /// Give the verdicts of the scorer that SvS was published with, to compare with its numbers; it can be fooled.
    #[arg(long)]
    pub svs_parity: bool,
    /// Threads; those of the machine by default.
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,
}

/// Runs the command.
///
/// # Errors
/// The input cannot be read or the output not written. Bad lines are not errors here; they end in exit code 1.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let input = File::open(&args.input).with_context(|| format!("cannot open {}", args.input.display()))?;
    anyhow::ensure!(args.max_steps > 0, "--max-steps must be at least 1");
    // Before anything is written: a bad grader must not cost the file that is there.
    let spec = args.code.grader(args.grader.as_deref())?;
    let sandbox = Arc::new(Sandbox::new(&args.code.sandbox()));
    let grader = spec.as_ref().map(|spec| spec.build_alone(&sandbox)).transpose()?;
    if spec.as_ref().is_some_and(GraderSpec::runs_code) {
        tracing::info!("programs are held by {}", sandbox.protections()?);
    }
    let output: Box<dyn Write> = match &args.output {
        Some(path) if is_same_file(&args.input, path) => {
            anyhow::bail!("--output is the input, {}; choose another file", path.display())
        }
        Some(path) => Box::new(File::create(path).with_context(|| format!("cannot create {}", path.display()))?),
        None => Box::new(std::io::stdout().lock()),
    };
    let options = MathOptions {
        strict: args.strict,
        profile: if args.svs_parity {
            Profile::SvsParity
        } else {
            Profile::Exact
        },
        max_steps: args.max_steps,
        ..MathOptions::default()
    };
    let name = args.input.display().to_string();
    let available = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let grading = Grading {
        options: &options,
        grader: grader.as_deref(),
        explain: args.explain,
        threads: args.threads.unwrap_or(available).max(1),
        progress: progress(input.metadata().map_or(0, |m| m.len())),
    };
    let summary = grading.run(
        BufReader::new(input),
        BufWriter::new(output),
        &mut std::io::stderr(),
        &name,
    )?;
    grading.progress.finish_and_clear();
    writeln!(std::io::stderr(), "{summary}").context("cannot write to stderr")?;
    Ok(if summary.bad == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// A bar over the bytes of the input; invisible where stderr is no terminal.
fn progress(bytes: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:40} {bytes}/{total_bytes} {eta}");
    ProgressBar::new(bytes).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
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

mod grading;
mod scoring;

#[cfg(test)]
mod tests;
