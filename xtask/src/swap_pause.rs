//! `cargo xtask swap-pause`: for how long a swap with `keep` holds up decoding while streams run, beside the gaps between
//! tokens without a swap and while the new weights are packed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use svs_engine::load::{LoadedModel, ModelSource, load};
use svs_engine::{
    EngineConfig, EngineHandle, Event, GenerateRequest, Generation, InFlight, Precision, SamplingParams, WeightSet,
};

/// What a swap may hold up decoding beyond one step.
const MOST_BEYOND_A_STEP_MS: f64 = 5.0;
/// Time between swaps, in which gaps without one are seen.
const REST: Duration = Duration::from_millis(400);
const PROMPT_TOKENS: u32 = 16;

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
/// A swap that holds up decoding for more than a step and 5 ms, by the median.
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
    let (steps, swaps) = std::thread::scope(|scope| {
        let feeder = scope.spawn(|| keep_streaming(&engine, &model, options.streams, &done));
        let swaps = swap(&engine, pack, options);
        done.store(true, Ordering::Relaxed);
        let steps = feeder.join().map_err(|_| anyhow::anyhow!("the streams panicked"))?;
        anyhow::Ok((steps?, swaps?))
    })?;
    report(&steps, &swaps)
}

/// One swap: when packing began, when the publish was asked for, and when it was done.
struct Swap {
    packing: Instant,
    asked: Instant,
    done: Instant,
    /// The engine's own measure of the move.
    move_ms: f64,
    in_flight: usize,
}

/// Swaps once all streams decode: the first of them has its tokens while others still prefill.
fn swap(engine: &EngineHandle, pack: impl Fn(u64) -> Arc<WeightSet>, options: &Options) -> anyhow::Result<Vec<Swap>> {
    let started = Instant::now();
    while engine.stats().generation_tokens < 4 * u64::from(options.streams) {
        ensure!(started.elapsed() < Duration::from_secs(60), "not all streams start");
        std::thread::sleep(Duration::from_millis(5));
    }
    let mut swaps = Vec::new();
    for version in 1..=options.swaps {
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
            in_flight: report.in_flight,
        });
    }
    std::thread::sleep(REST);
    Ok(swaps)
}

/// Keeps all streams running and notes when the first of them had each of its tokens: once a step.
fn keep_streaming(
    engine: &EngineHandle,
    model: &LoadedModel,
    streams: u32,
    done: &AtomicBool,
) -> anyhow::Result<Vec<Instant>> {
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
    let mut steps = Vec::new();
    for round in 0.. {
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
                return Ok(steps);
            }
        }
        // Between two rounds there is a prefill, which is no gap of decoding.
        steps.push(Instant::now());
    }
    Ok(steps)
}

fn report(steps: &[Instant], swaps: &[Swap]) -> anyhow::Result<()> {
    let (mut quiet, mut packing, mut crossing) = (Vec::new(), Vec::new(), Vec::new());
    for pair in steps.windows(2) {
        let gap = (pair[1] - pair[0]).as_secs_f64() * 1e3;
        let overlaps = |from: Instant, to: Instant| pair[0] <= to && pair[1] >= from;
        if swaps.iter().any(|swap| overlaps(swap.asked, swap.done)) {
            crossing.push(gap);
        } else if swaps.iter().any(|swap| overlaps(swap.packing, swap.asked)) {
            packing.push(gap);
        } else {
            quiet.push(gap);
        }
    }
    let mut moves: Vec<f64> = swaps.iter().map(|swap| swap.move_ms).collect();
    let mut waits: Vec<f64> = swaps
        .iter()
        .map(|swap| (swap.done - swap.asked).as_secs_f64() * 1e3)
        .collect();
    let fewest = swaps.iter().map(|swap| swap.in_flight).min().unwrap_or(0);
    println!(
        "{} swaps over at least {fewest} running streams, keep; milliseconds",
        swaps.len()
    );
    println!("{:<52} {:>8} {:>8} {:>8} {:>6}", "", "p50", "p99", "max", "count");
    let row = |name: &str, values: &mut Vec<f64>| {
        values.sort_unstable_by(f64::total_cmp);
        let at = |share: f64| {
            values
                .get(((values.len() as f64 - 1.0) * share) as usize)
                .copied()
                .unwrap_or(f64::NAN)
        };
        println!(
            "{name:<52} {:>8.3} {:>8.3} {:>8.3} {:>6}",
            at(0.5),
            at(0.99),
            at(1.0),
            values.len()
        );
        at(0.5)
    };
    let step = row("gap between tokens, no swap", &mut quiet);
    row("gap between tokens while weights are packed", &mut packing);
    let crossed = row("gap between tokens across a swap", &mut crossing);
    row("publish asked for until done (one step, and the move)", &mut waits);
    let moved = row("the move itself: no step can run", &mut moves);
    let beyond = crossed - step;
    println!("decoding is held up {beyond:.3} ms beyond its step by the median, by the move {moved:.3} ms");
    ensure!(
        !crossing.is_empty() && beyond <= step + MOST_BEYOND_A_STEP_MS,
        "a swap holds up decoding {crossed:.3} ms; a step is {step:.3} ms, and {MOST_BEYOND_A_STEP_MS} ms more are allowed"
    );
    Ok(())
}
