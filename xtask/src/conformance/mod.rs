//! `cargo xtask conformance`: compares svs with independent implementations that come from PyPI and npm, and tries it with programs that
//! Debian packages.
//!
//! A step passes, fails, or says what it could not reach; only a failed step makes the task fail, so that it can run
//! where neither is within reach.

mod dashboards;
mod debian;
mod examples;
mod forward;
mod image;
mod node;
mod openai;
mod page;
mod precision;
mod python;
mod sandbox;
mod schemathesis;
mod scratch;
mod smollm2;
mod swap;

use std::path::PathBuf;

use clap::ValueEnum;

use crate::load;

/// Options of `conformance`.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Steps to run; all of them by default.
    #[arg(value_enum)]
    steps: Vec<Step>,
    /// Also make the goldens anew with PyTorch and transformers (a download of gigabytes) and compare with them in full.
    #[arg(long)]
    full: bool,
    /// Python to use; it gets a virtual environment of its own under target/conformance.
    #[arg(long, default_value = "python3")]
    python: PathBuf,
    /// Use the packages that --python has instead of a virtual environment.
    #[arg(long)]
    no_venv: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Step {
    /// The official `openai` client against `svs serve`, and raw answers against its types, OpenAI's published ones.
    Openai,
    /// The `curl` examples of README.md and docs/, run as they are printed; every endpoint has one.
    Examples,
    /// `cargo xtask load` in short: nothing well-formed goes unanswered, nothing malformed gets through, memory is bounded.
    Load,
    /// The official `openai` client for Node against `svs serve`.
    Node,
    /// Schemathesis over all of openapi.json: no 5xx, and every response is one that the document has.
    Schemathesis,
    /// The built-in page in headless Chromium, which is installed where that can be.
    Page,
    /// The queries of the Grafana dashboards over a Prometheus, which is installed where that can be.
    Dashboards,
    /// The steps that make the container images, without Docker.
    Image,
    /// Hostile Python programs against the sandbox, and what a run costs; needs a Python but no package.
    Sandbox,
    /// SmolLM2-135M-Instruct against transformers: token ids, chat template, weights, logits, greedy
    /// tokens; a swap under 16 streams; bf16 against f32.
    Smollm2,
}

/// How a step ended.
enum Outcome {
    /// What was compared.
    Passed(String),
    /// What was out of reach.
    NotReached(String),
}

pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let steps = if options.steps.is_empty() {
        Step::value_variants()
    } else {
        options.steps.as_slice()
    };
    let mut failed = Vec::new();
    for step in steps {
        let outcome = match step {
            Step::Openai => openai::run(options),
            Step::Examples => examples::run(),
            Step::Load => load::run(&load::Options::short()).map(Outcome::Passed),
            Step::Node => node::run(),
            Step::Schemathesis => schemathesis::run(options),
            Step::Page => page::run(),
            Step::Dashboards => dashboards::run(),
            Step::Image => image::run(),
            Step::Sandbox => sandbox::run(options),
            Step::Smollm2 => smollm2::run(options),
        };
        let name = step
            .to_possible_value()
            .map_or_else(String::new, |value| value.get_name().to_owned());
        match outcome {
            Ok(Outcome::Passed(what)) => println!("conformance {name}: passed: {what}"),
            Ok(Outcome::NotReached(what)) => println!("conformance {name}: not reached: {what}"),
            Err(error) => {
                println!("conformance {name}: FAILED: {error:#}");
                failed.push(name);
            }
        }
    }
    anyhow::ensure!(failed.is_empty(), "conformance failed: {}", failed.join(", "));
    Ok(())
}
