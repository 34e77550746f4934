//! `cargo xtask swap-pause`: for how long a swap with `keep` holds up decoding while streams run, beside the gaps between
//! tokens without a swap and while the new weights are packed.

mod report;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use svs_engine::load::{LoadedModel, ModelSource, load};
use svs_engine::{
    EngineConfig, EngineHandle, Event, GenerateRequest, Generation, InFlight, Precision, SamplingParams, WeightSet,
};

/// Time between swaps, in which gaps without one are seen.
const REST: Duration = Duration::from_millis(400);
const PROMPT_TOKENS: u32 = 16;
/// Swaps tried for each that counts: one between two rounds meets fewer streams than were asked for.
const TRIES: u64 = 3;

/// Options of `cargo xtask swap-pause`.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// A Hugging Face folder, a .gguf file or a hub id; the policy in assets/ if absent.
    #[arg(long)]
    model: Option<String>,
    /// Streams at once.
    #[arg(long, default_value_t = 64)]
    streams: u32,
    /// Swaps to measure.
    #[arg(long, default_value_t = 20)]
    swaps: u64,
    /// Storage of the weight matrices is bf16 instead of f32.
    #[arg(long)]
    bf16: bool,
}

/// Measures and prints.
///
/// # Errors
/// A swap that holds up decoding for more than a step and 5 ms; see [`report::conclude`].
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let source = match &options.model {
        Some(model) => ModelSource::parse(model),
        None => ModelSource::Folder(crate::repo::root().join("assets").join("tiny-policy")),
    };
    let model = load(&source)?;
    let precision = if options.bf16 { Precision::Bf16 } else { Precision::F32 };
    let pack = |version| {
        Arc::new(WeightSet::pack_as(
            precision,
            &model.config,
            &model.params,
            version,
            "swap",
        ))
    };
    let config = EngineConfig {
        max_num_seqs: options.streams as usize,
        weights: precision,
        ..EngineConfig::default()
    };
    let engine = EngineHandle::start(pack(0), model.tokenizer.clone(), config)?;
    let done = AtomicBool::new(false);
    let (rounds, swaps) = std::thread::scope(|scope| {
        let feeder = scope.spawn(|| keep_streaming(&engine, &model, options.streams, &done));
        let swaps = swap(&engine, pack, options);
        done.store(true, Ordering::Relaxed);
        let rounds = feeder.join().map_err(|_| anyhow::anyhow!("the streams panicked"))?;
        anyhow::Ok((rounds?, swaps?))
    })?;
    report::conclude(&rounds, &swaps)
}

/// One swap: when packing began, when the publish was asked for, and when it was done.
struct Swap {
    packing: Instant,
    asked: Instant,
    done: Instant,
    /// The engine's own measure of the move.
    move_ms: f64,
    /// All streams crossed it.
    counts: bool,
}

/// Swaps once all streams decode: the first of them has its tokens while others still prefill.
fn swap(engine: &EngineHandle, pack: impl Fn(u64) -> Arc<WeightSet>, options: &Options) -> anyhow::Result<Vec<Swap>> {
    let started = Instant::now();
    while engine.stats().generation_tokens < 4 * u64::from(options.streams) {
        ensure!(started.elapsed() < Duration::from_secs(60), "not all streams start");
        std::thread::sleep(Duration::from_millis(5));
    }
    let mut swaps: Vec<Swap> = Vec::new();
    for version in 1.. {
        let counted = swaps.iter().filter(|swap| swap.counts).count() as u64;
        if counted >= options.swaps {
            break;
        }
        ensure!(version <= TRIES * options.swaps, "only {counted} swaps met all streams");
        std::thread::sleep(REST);
        let packing = Instant::now();
        let weights = pack(version);
        let asked = Instant::now();
        let report = engine.publish(weights, InFlight::Keep)?;
        swaps.push(Swap {
            packing,
            asked,
            done: Instant::now(),
            move_ms: report.pause_ms,
            counts: report.in_flight == options.streams as usize,
        });
    }
    std::thread::sleep(REST);
    Ok(swaps)
}

/// Keeps all streams running and notes when the first of them had each of its tokens: once a step. Between two rounds there
/// is a prefill, which is no gap of decoding.
fn keep_streaming(
    engine: &EngineHandle,
    model: &LoadedModel,
    streams: u32,
    done: &AtomicBool,
) -> anyhow::Result<Vec<Vec<Instant>>> {
    let vocabulary = u32::try_from(model.config.vocab_size).context("the vocabulary")?;
    let longest = u32::try_from(engine.max_model_len()).context("the context length")? - PROMPT_TOKENS;
    let request = |stream: u32, round: u32| GenerateRequest {
        prompt: (0..PROMPT_TOKENS)
            .map(|at| (stream * 97 + round * 31 + at * 7) % vocabulary)
            .collect(),
        n: 1,
        sampling: SamplingParams {
            seed: Some(u64::from(stream)),
            max_tokens: longest,
            ignore_eos: true,
            ..SamplingParams::default()
        },
        ..GenerateRequest::default()
    };
    let mut rounds: Vec<Vec<Instant>> = Vec::new();
    for round in 0.. {
        let mut steps = Vec::new();
        let all: Result<Vec<Generation>, _> = (0..streams)
            .map(|stream| engine.submit(request(stream, round)))
            .collect();
        let mut all = all?;
        let first = all.first_mut().context("no streams")?;
        while let Some(event) = first.blocking_next() {
            match event {
                Event::Token(_) => steps.push(Instant::now()),
                Event::Failed(error) => return Err(error.into()),
                _ => {}
            }
            if done.load(Ordering::Relaxed) {
                break;
            }
        }
        rounds.push(steps);
        if done.load(Ordering::Relaxed) {
            break;
        }
    }
    Ok(rounds)
}
