//! `svs export`: trajectories of the log as a Parquet file.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use indicatif::{ProgressBar, ProgressStyle};
use svs_engine::load::{ModelSource, load};
use svs_trainer::export::Export;
use svs_trainer::log::{Filter, LogReader};
use svs_trainer::trajectory::Kind;

use crate::config::ServeConfig;
use crate::stack::LOG_FILE;

/// Arguments of `svs export`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  svs export --output all.parquet                              all that the log in runs/ holds
  svs export --run svs-seed0 --kind solve --output x.parquet   what a run sampled or trained on, of one kind
  svs export --model ./SmolLM2 --output x.parquet              with the prompts as text

The log may be in use. docs/trajectories.md tells the columns.")]
pub struct Args {
    /// The file to write.
    #[arg(long, short, value_name = "FILE.parquet")]
    output: PathBuf,
    /// Folder of the trajectory log and the runs [default: runs].
    #[arg(long, value_name = "FOLDER")]
    runs: Option<PathBuf>,
    /// The log itself, in place of the one in --runs.
    #[arg(long, value_name = "FILE.sqlite", conflicts_with = "runs")]
    log: Option<PathBuf>,
    /// Only what this run sampled or was trained on.
    #[arg(long, value_name = "ID")]
    run: Option<String>,
    /// Only `solve`, `solve_hinted`, `synthesize`, `solve_synthetic` or `client`.
    #[arg(long, value_name = "KIND", value_parser = kind)]
    kind: Option<Kind>,
    /// The model that sampled them: its tokenizer writes the prompts, which the log has as tokens only.
    #[arg(long, value_name = "MODEL")]
    model: Option<String>,
    /// Overwrite the output.
    #[arg(long)]
    force: bool,
}

fn kind(name: &str) -> Result<Kind, String> {
    let found = Kind::ALL.into_iter().find(|kind| kind.name() == name);
    found.ok_or_else(|| format!("the kinds are {}", Kind::ALL.map(Kind::name).join(", ")))
}

/// Runs the command.
///
/// # Errors
/// The log cannot be read, nothing in it is asked for, or the file cannot be written.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let in_folder = |runs| {
        let config = ServeConfig {
            runs,
            ..ServeConfig::default()
        };
        config.runs_folder().join(LOG_FILE)
    };
    let log = LogReader::open(&args.log.unwrap_or_else(|| in_folder(args.runs)))?;
    let tokenizer = |model: &String| load(&ModelSource::parse(model)).map(|model| model.tokenizer);
    let export = Export {
        filter: Filter {
            kinds: args.kind.into_iter().collect(),
            run: args.run,
            ..Filter::default()
        },
        tokenizer: args
            .model
            .as_ref()
            .map(tokenizer)
            .transpose()
            .context("cannot load the model")?,
        force: args.force,
    };
    let style = ProgressStyle::with_template("{elapsed_precise} {bar:40} {pos}/{len} trajectories");
    let bar = ProgressBar::new(0).with_style(style.expect("a valid template"));
    let written = export.write(&log, &args.output, |done, all| {
        bar.set_length(all);
        bar.set_position(done);
    });
    bar.finish_and_clear();
    say(&format!("{} trajectories in {}", written?, args.output.display()));
    Ok(ExitCode::SUCCESS)
}

#[expect(clippy::print_stdout, reason = "the result of the command")]
fn say(line: &str) {
    println!("{line}");
}
