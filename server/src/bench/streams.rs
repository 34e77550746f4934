//! One run of a load: all requests at once, a time stamp for each token.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use svs_engine::runtime::EngineStats;
use svs_engine::sampler::philox4x32_10;
use svs_engine::{EngineHandle, Event, GenerateRequest, Generation, SamplingParams};
use tokio::task::JoinSet;

use super::Load;
use super::phase::{Phase, Run};

/// Runs the load once; `round` makes prompts and samples differ from other rounds'.
pub(super) fn run(engine: &EngineHandle, load: &Load, round: u64) -> anyhow::Result<Run> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .context("cannot start the asynchronous runtime")?;
    let prompts = load.batch / load.group;
    // Paused, the engine takes all requests before its first step.
    engine.set_paused(true);
    let generations = (0..prompts)
        .map(|prompt| engine.submit(request(engine, load, round, prompt)))
        .collect::<Result<Vec<_>, _>>()?;
    let start = engine.stats();
    let clock = Arc::new(Clock::new(engine.clone(), load.batch));
    engine.set_paused(false);
    let stamps = runtime.block_on(async {
        let mut streams = JoinSet::new();
        for generation in generations {
            streams.spawn(stamps(generation, load.group, Arc::clone(&clock)));
        }
        let mut all = Vec::with_capacity(load.batch);
        while let Some(stream) = streams.join_next().await {
            all.extend(stream.context("the task of a stream")??);
        }
        anyhow::Ok(all)
    })?;
    let (all_started, middle) = clock.boundary().context("a sequence got no token")?;
    let sampled = (load.batch * load.max_tokens as usize) as u64;
    let end = settled(engine, start.generation_tokens + sampled);
    summary(load, &stamps, &start, (all_started, &middle), &end)
}

/// The engine's counters once they include so many sampled tokens: they follow the events of a step by some microseconds.
fn settled(engine: &EngineHandle, tokens: u64) -> EngineStats {
    const TRIES: usize = 1000;
    let mut stats = engine.stats();
    for _ in 0..TRIES {
        if stats.generation_tokens >= tokens {
            break;
        }
        std::thread::sleep(Duration::from_micros(20));
        stats = engine.stats();
    }
    stats
}

fn request(engine: &EngineHandle, load: &Load, round: u64, prompt: usize) -> GenerateRequest {
    let vocabulary = engine.model().vocab_size as u32;
    let word = |at: usize| {
        philox4x32_10(
            [at as u32, prompt as u32, round as u32, 0],
            [load.seed as u32, 0x0062_656e],
        )[0]
    };
    GenerateRequest {
        prompt: (0..load.prompt_tokens).map(|at| word(at) % vocabulary).collect(),
        n: load.group as u32,
        sampling: SamplingParams {
            seed: Some(load.seed.wrapping_add(prompt as u64)),
            max_tokens: load.max_tokens,
            ignore_eos: true,
            ..SamplingParams::default()
        },
        ..GenerateRequest::default()
    }
}

/// Time since the run began, and the moment at which every sequence had a token.
struct Clock {
    engine: EngineHandle,
    began: Instant,
    /// Tokens that the engine has sampled when every sequence has one.
    first_tokens: u64,
    /// Sequences without a token, and the boundary once there are none.
    boundary: Mutex<(usize, Option<(Duration, EngineStats)>)>,
}

impl Clock {
    fn new(engine: EngineHandle, sequences: usize) -> Self {
        Self {
            first_tokens: engine.stats().generation_tokens + sequences as u64,
            engine,
            began: Instant::now(),
            boundary: Mutex::new((sequences, None)),
        }
    }

    fn first_token(&self, now: Duration) {
        let mut boundary = self.boundary.lock().unwrap_or_else(PoisonError::into_inner);
        boundary.0 -= 1;
        if boundary.0 == 0 {
            boundary.1 = Some((now, settled(&self.engine, self.first_tokens)));
        }
    }

    fn boundary(&self) -> Option<(Duration, EngineStats)> {
        self.boundary.lock().unwrap_or_else(PoisonError::into_inner).1.take()
    }
}

/// The times of the tokens of each choice.
async fn stamps(mut generation: Generation, choices: usize, clock: Arc<Clock>) -> anyhow::Result<Vec<Vec<Duration>>> {
    let mut stamps = vec![Vec::new(); choices];
    while let Some(event) = generation.next().await {
        match event {
            Event::Token(token) => {
                let times = &mut stamps[token.choice as usize];
                let now = clock.began.elapsed();
                if times.is_empty() {
                    clock.first_token(now);
                }
                times.push(now);
            }
            Event::Failed(error) => bail!(error),
            _ => {}
        }
    }
    Ok(stamps)
}

fn summary(
    load: &Load,
    stamps: &[Vec<Duration>],
    start: &EngineStats,
    (all_started, middle): (Duration, &EngineStats),
    end: &EngineStats,
) -> anyhow::Result<Run> {
    let expected = load.max_tokens as usize;
    if let Some(times) = stamps.iter().find(|times| times.len() != expected) {
        bail!("a sequence has {} tokens instead of {expected}", times.len());
    }
    let last = stamps.iter().flatten().max().copied().unwrap_or_default();
    let decoded = stamps.iter().flatten().filter(|time| **time > all_started).count();
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    let mut ttft_ms: Vec<f64> = stamps.iter().map(|times| ms(times[0])).collect();
    let mut itl_ms: Vec<f64> = stamps
        .iter()
        .flat_map(|times| times.windows(2).map(|pair| ms(pair[1].saturating_sub(pair[0]))))
        .collect();
    ttft_ms.sort_by(f64::total_cmp);
    itl_ms.sort_by(f64::total_cmp);
    let prompts = load.batch / load.group * load.prompt_tokens;
    Ok(Run {
        prefill: Phase::between(prompts, all_started, start, middle),
        decode: Phase::between(decoded, last.saturating_sub(all_started), middle, end),
        ttft_ms,
        itl_ms,
    })
}
