//! The command line: one file per command, each with its arguments and `run`.

use std::io::BufReader;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use svs_verifier::sandbox::{LAUNCHER_ARGUMENT, run_launcher};

pub mod bench;
pub mod demo;
pub mod eval;
pub mod export;
pub mod openapi;
pub mod problems;
mod rehearse;
pub mod serve;
pub mod sft;
pub mod shared;
mod signals;
pub mod train;
pub mod verify;

/// Serve a language model over an OpenAI-compatible API and train it while it serves.
#[derive(Debug, Parser)]
#[command(name = "svs", version, propagate_version = true, arg_required_else_help = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve the embedded policy, train it with SvS meanwhile, and show what that did.
    Demo(demo::Args),
    /// Serve a model over HTTP, with the trainer behind /v1/train.
    Serve(Box<serve::Args>),
    /// Train a policy with SvS or plain GRPO.
    Train(Box<train::Args>),
    /// Measure a policy: pass@k, avg@k, maj@k, greedy, disagreement and lengths, with intervals.
    Eval(Box<eval::Args>),
    /// Write the trajectories that were sampled as a Parquet file.
    Export(export::Args),
    /// Supervised stage: train on prompts with given responses.
    Sft(Box<sft::Args>),
    /// Write problems of hard tasks, with graders of their own, to train and to evaluate on.
    Problems(problems::Args),
    /// Grade predictions against gold answers.
    Verify(verify::Args),
    /// Measure how fast this machine runs a model, and what share of its limits that is.
    Bench(bench::Args),
    /// Print the OpenAPI document of the HTTP API.
    Openapi(openapi::Args),
    /// Try one guide on behalf of a server, under limits of its own.
    #[command(hide = true)]
    GuideTrial,
}

/// Parses the command line, runs the command and turns its outcome into an exit code: 0 done, 1 failed, 2 bad usage.
#[must_use]
pub fn main() -> ExitCode {
    // Before anything that starts a thread or reads the environment: a launcher does nothing else.
    if std::env::args_os()
        .nth(1)
        .is_some_and(|argument| argument == LAUNCHER_ARGUMENT)
    {
        return match run_launcher() {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        };
    }
    svs_engine::ops::heaps::one_a_core();
    let cli = Cli::parse();
    init_logging();
    match run(cli.command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("svs: {}", chain(&error));
            ExitCode::FAILURE
        }
    }
}

/// An error with its causes, without those that it has named already.
fn chain(error: &anyhow::Error) -> String {
    error
        .chain()
        .fold(String::new(), |said, cause| match cause.to_string() {
            cause if said.is_empty() => cause,
            cause if said.contains(&cause) => said,
            cause => format!("{said}: {cause}"),
        })
}

fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Demo(args) => demo::run(args),
        Command::Serve(args) => serve::run(*args),
        Command::Train(args) => train::run(*args),
        Command::Eval(args) => eval::run(*args),
        Command::Export(args) => export::run(args),
        Command::Sft(args) => sft::run(*args),
        Command::Problems(args) => problems::run(args),
        Command::Verify(args) => verify::run(args),
        Command::Bench(args) => bench::run(args),
        Command::Openapi(args) => openapi::run(args),
        Command::GuideTrial => {
            svs_engine::guide::trial::run_child(BufReader::new(std::io::stdin()), std::io::stdout())?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Logs go to stderr, filtered by `SVS_LOG` (default `info`), so that stdout carries results only.
fn init_logging() {
    let filter = tracing_subscriber::EnvFilter::try_from_env("SVS_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    // A second initialisation (tests in one process) keeps the first.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .try_init();
}
