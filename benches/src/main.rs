//! `cargo compare`: svs beside llama.cpp and any OpenAI-compatible server, in turns on the same machine.
//!
//! What is measured, and what each side counts, is told in docs/benchmarks.md.

#![allow(clippy::print_stdout)] // a command-line program talks on stdout

mod agreement;
mod client;
mod contestants;
mod layout;
mod machine;
mod measure;
mod offline;
mod plot;
mod results;
mod rollouts;
mod servers;
mod verdict;

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;

use contestants::{Contestant, Row, Weights};
use layout::Layout;
use machine::Machine;
use measure::{Calm, Heat, Run, alternate};
use results::Results;
use rollouts::{Grouping, Prompts, SEQUENCES};
use servers::Server;

/// Compares svs with llama.cpp and any OpenAI-compatible server on this machine.
#[derive(Debug, Parser)]
#[command(name = "cargo compare")]
#[command(after_help = "\
Examples:
  cargo xtask peers                                    once: builds llama.cpp and converts the model
  cargo compare                                        everything, 5 alternations (half an hour on two cores)
  cargo compare --rows decode-64 --alternations 2
  cargo compare --rows http --url http://127.0.0.1:9000

Results go to target/compare: results.json has every measurement, results.md the tables, ratios.svg a plot.
A server given by --url gets the bearer token in OPENAI_API_KEY, if there is one.")]
struct Arguments {
    /// Turns of every row.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=1000))]
    alternations: u16,
    /// What to measure; everything by default.
    #[arg(long, value_name = "ROW", value_delimiter = ',')]
    rows: Vec<Row>,
    /// Weights of svs.
    #[arg(long, value_name = "WEIGHTS", value_delimiter = ',', default_value = "bf16,f32")]
    weights: Vec<Weights>,
    /// Weights of llama.cpp.
    #[arg(long, value_name = "WEIGHTS", value_delimiter = ',', default_value = "f16,bf16,f32")]
    peer_weights: Vec<Weights>,
    /// Flash attention of llama.cpp: with it, without it, or one after the other.
    #[arg(long, value_name = "BOOL", value_delimiter = ',', default_value = "true,false")]
    flash_attention: Vec<bool>,
    /// An OpenAI-compatible server that runs already; in the row `http` only.
    #[arg(long, value_name = "URL")]
    url: Vec<String>,
    /// Prompts of the row `http`, a line each (text, or JSON with `prompt` or `question`); random tokens by default.
    #[arg(long, value_name = "FILE")]
    prompts: Option<PathBuf>,
    /// Threads of each engine [default: cores].
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// The binary of svs; built from this repository by default.
    #[arg(long, value_name = "PATH")]
    svs: Option<PathBuf>,
    /// Share of the machine that others may use during a measurement; it is repeated otherwise.
    #[arg(long, value_name = "SHARE", default_value_t = 0.1)]
    foreign_limit: f64,
    /// How long to wait for that before each measurement.
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    patience_seconds: u64,
    /// How often to repeat a disturbed measurement.
    #[arg(long, value_name = "N", default_value_t = 2)]
    retries: usize,
}

fn main() -> anyhow::Result<()> {
    let mut arguments = Arguments::parse();
    anyhow::ensure!(!arguments.weights.contains(&Weights::F16), "svs has no f16 weights");
    if arguments.rows.is_empty() {
        arguments.rows = <Row as clap::ValueEnum>::value_variants().to_vec();
    }
    let threads = arguments.threads.unwrap_or_else(machine::cores);
    let layout = Layout::find(arguments.svs.clone(), threads)?;
    layout.check()?;
    eprintln!("comparing greedy tokens of svs and llama.cpp in f32");
    let agreement = agreement::check(&layout)?;

    let servers = if arguments.rows.contains(&Row::Http) {
        start_servers(&arguments, &layout)?
    } else {
        Vec::new()
    };
    let rounds = usize::from(arguments.alternations) * (arguments.retries + 1);
    let prompts = match &arguments.prompts {
        Some(path) => Prompts::read(path, rounds)?,
        None => Prompts::Synthetic,
    };
    let mut heats = offline_heats(&arguments, &layout);
    heats.extend(http_heat(&servers, &prompts));

    let machine = Machine::read();
    let calm = Calm {
        limit: arguments.foreign_limit,
        patience: Duration::from_secs(arguments.patience_seconds),
        retries: arguments.retries,
    };
    let file = |name: &str| layout.results.join(name);
    let samples = alternate(&heats, usize::from(arguments.alternations), calm, |samples| {
        Results::new(&machine, threads, calm.limit, agreement, samples).write(&file("results.json"))
    })?;
    let results = Results::new(&machine, threads, calm.limit, agreement, &samples);
    let tables = results.tables();
    std::fs::write(file("results.md"), &tables)?;
    plot::write_svg(&file("ratios.svg"), &results.verdicts)?;
    print!("{tables}");
    println!("\nEvery measurement is in {}", file("results.json").display());
    Ok(())
}

/// svs and llama.cpp in every setting asked for.
fn settings(arguments: &Arguments) -> Vec<Contestant> {
    let ours = arguments.weights.iter().map(|weights| Contestant::Svs(*weights));
    let flash = |weights: Weights| {
        let flash = arguments.flash_attention.iter();
        flash.map(move |flash| Contestant::LlamaCpp(weights, *flash))
    };
    ours.chain(arguments.peer_weights.iter().copied().flat_map(flash))
        .collect()
}

/// One heat for each batch size.
fn offline_heats<'a>(arguments: &Arguments, layout: &'a Layout) -> Vec<Heat<'a>> {
    let mut batches: Vec<usize> = arguments.rows.iter().filter_map(|row| row.batch()).collect();
    batches.sort_unstable();
    batches.dedup();
    let heat = |batch: usize| Heat {
        contestants: settings(arguments)
            .into_iter()
            .map(|contestant| {
                let measured = contestant.clone();
                let run: Run = Box::new(move |_| offline::run(&measured, batch, layout));
                (contestant, run)
            })
            .collect(),
        servers: Vec::new(),
    };
    batches.into_iter().map(heat).collect()
}

fn start_servers(arguments: &Arguments, layout: &Layout) -> anyhow::Result<Vec<(Server, Grouping)>> {
    let urls = arguments.url.iter().cloned().map(Contestant::Url);
    let contestants = settings(arguments).into_iter().chain(urls);
    let started = contestants.map(|contestant| {
        eprintln!("starting {contestant}");
        let server = Server::start(contestant, SEQUENCES, false, layout)?;
        let grouping = Grouping::of(&server.client)?;
        Ok((server, grouping))
    });
    started.collect()
}

/// All servers in one heat; none without servers.
fn http_heat<'a>(servers: &'a [(Server, Grouping)], prompts: &'a Prompts) -> Option<Heat<'a>> {
    let contestants = servers.iter().map(|(server, grouping)| {
        let run: Run<'a> = Box::new(move |round| {
            let figures = rollouts::run(&server.client, *grouping, prompts, round)?;
            Ok(vec![(Row::Http, figures)])
        });
        (server.contestant.clone(), run)
    });
    let heat = Heat {
        contestants: contestants.collect(),
        servers: servers.iter().filter_map(|(server, _)| server.process()).collect(),
    };
    (!servers.is_empty()).then_some(heat)
}
