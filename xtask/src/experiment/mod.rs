//! `cargo xtask experiment`: SvS and GRPO at the same number of generated tokens, on the embedded policy or on SmolLM2.
//!
//! What a run left on disk is all that is known of it: runs go on where they were interrupted, evaluations that are
//! there are not made again, and the report is made of the files alone.

mod arm;
mod comparison;
mod curves;
mod held_out;
mod paired;
mod plan;
mod plot;
mod records;
mod report;
mod smollm2;

use svs_engine::EngineConfig;
use svs_engine::load::{ModelSource, load};

use arm::{Bench, Start};
use held_out::HeldOut;
use plan::{Defaults, Options};

/// Experiments whose results are committed.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Experiment {
    /// SvS and GRPO from the embedded policy, measured on held-out problems (docs/experiments/svs-vs-grpo).
    SvsVsGrpo(Generated),
    /// The same from SmolLM2-135M after a supervised warm-up, on SVAMP (docs/experiments/smollm2-svamp).
    Smollm2Svamp(smollm2::Options),
}

/// Options of `cargo xtask experiment svs-vs-grpo`.
#[derive(Debug, clap::Args)]
pub(crate) struct Generated {
    #[command(flatten)]
    options: Options,
    /// Held-out problems of each shape of computation.
    #[arg(long, value_name = "N", default_value_t = 12)]
    problems_per_shape: usize,
}

/// What `svs-vs-grpo` does when it is not told.
const DEFAULTS: Defaults = Defaults {
    name: "svs-vs-grpo",
    seeds: 5,
    budget_tokens: 300_000,
    samples: 32,
};

/// Trains and evaluates what is not there yet, then reports.
///
/// # Errors
/// A configuration that cannot be used, files of a run with other settings, a run that fails.
pub(crate) fn run(experiment: &Experiment) -> anyhow::Result<()> {
    match experiment {
        Experiment::SvsVsGrpo(options) => generated(options),
        Experiment::Smollm2Svamp(options) => smollm2::run(options),
    }
}

fn generated(options: &Generated) -> anyhow::Result<()> {
    let plan = options.options.settle(&DEFAULTS)?;
    let start = Start {
        model: load(&ModelSource::Folder(crate::repo::root().join("assets/tiny-policy")))?,
        engine: EngineConfig {
            max_num_seqs: 256,
            max_num_batched_tokens: 1024,
            kv_cache_bytes: 256 << 20,
            ..EngineConfig::default()
        },
    };
    let held_out = HeldOut::new(options.problems_per_shape)?;
    plan.finish(&Bench::new(start, &plan, held_out.problems)?)?;
    if plan.has_both() {
        report::write(&plan.out, &plan.seeds, &plan.due)?;
    }
    Ok(())
}
