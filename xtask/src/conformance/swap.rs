//! A publish while streams of a real model run: nothing changes before it, and a replay gives what came after it.

use std::sync::Arc;

use anyhow::{Context, ensure};
use svs_engine::load::LoadedModel;
use svs_engine::request::Choice;
use svs_engine::runtime::{Collected, Engine, event_channel};
use svs_engine::weights::WeightSet;
use svs_engine::{EngineConfig, GenerateRequest, Generation, InFlight, SamplingParams};

const STREAMS: u64 = 16;
/// Streams that are there from the first step; the others come `LATE` steps later and are so much shorter at the swap.
const EARLY: usize = 10;
const LATE: usize = 5;
const TOKENS: u32 = 24;
/// Tokens of the first stream at the swap.
const SWAP_AT: usize = 12;
const BEFORE: u64 = 1;
const AFTER: u64 = 2;

/// Compares streams that crossed a swap with streams that did not and with replays; says what held.
///
/// # Errors
/// The first stream that differs.
pub(super) fn compare(model: &LoadedModel) -> anyhow::Result<String> {
    let requests = (0..STREAMS)
        .map(|seed| request(model, seed))
        .collect::<anyhow::Result<Vec<_>>>()?;
    let bench = Bench::new(model);
    let never = bench.run(&requests, None)?;
    for in_flight in [InFlight::Keep, InFlight::Recompute] {
        let swapped = bench.run(&requests, Some((SWAP_AT, in_flight)))?;
        for (at, request) in requests.iter().enumerate() {
            bench
                .check(request, &never[at], &swapped[at], in_flight)
                .with_context(|| format!("stream {at} over a swap with {in_flight:?}"))?;
        }
    }
    Ok(format!(
        "{STREAMS} streams over a swap equal to unswapped ones before it and to replays after it (keep, recompute)"
    ))
}

fn request(model: &LoadedModel, seed: u64) -> anyhow::Result<GenerateRequest> {
    let prompt = format!(
        "Question {seed}: Tom has {} pens and buys {} more. How many pens",
        seed + 3,
        2 * seed + 1
    );
    let sampling = SamplingParams {
        seed: Some(seed),
        max_tokens: TOKENS,
        ignore_eos: true,
        ..SamplingParams::default()
    };
    Ok(GenerateRequest {
        prompt: model.tokenizer.encode(&prompt, false)?,
        n: 1,
        sampling,
        ..GenerateRequest::default()
    })
}

/// A model and its successor, as a step of training might have left it.
struct Bench<'a> {
    model: &'a LoadedModel,
    weights: Arc<WeightSet>,
    updated: Arc<WeightSet>,
}

impl<'a> Bench<'a> {
    fn new(model: &'a LoadedModel) -> Self {
        let mut params = model.params.clone();
        for (at, value) in params.values.iter_mut().enumerate() {
            *value *= if at % 2 == 0 { 1.02 } else { 0.98 };
        }
        let pack = |params, version, label| Arc::new(WeightSet::pack(&model.config, params, version, label));
        Self {
            model,
            weights: pack(&model.params, BEFORE, "before"),
            updated: pack(&params, AFTER, "after"),
        }
    }

    fn engine(&self, weights: &Arc<WeightSet>) -> anyhow::Result<Engine> {
        let config = EngineConfig::default();
        Ok(Engine::new(Arc::clone(weights), self.model.tokenizer.clone(), &config)?)
    }

    /// Runs all streams to their ends, with a swap when the first of them has so many tokens.
    fn run(&self, requests: &[GenerateRequest], swap: Option<(usize, InFlight)>) -> anyhow::Result<Vec<Choice>> {
        let mut engine = self.engine(&self.weights)?;
        let mut streams: Vec<Stream> = Vec::new();
        let (early, late) = requests.split_at(EARLY.min(requests.len()));
        streams.extend(early.iter().map(|request| Stream::submit(&mut engine, request)));
        let mut swap = swap;
        let mut steps = 0;
        while engine.step() {
            steps += 1;
            if steps == LATE {
                streams.extend(late.iter().map(|request| Stream::submit(&mut engine, request)));
            }
            for stream in &mut streams {
                stream.drain()?;
            }
            if let Some((_, in_flight)) = swap.take_if(|(at, _)| streams[0].tokens() == *at) {
                engine.publish(Arc::clone(&self.updated), in_flight)?;
            }
        }
        ensure!(swap.is_none(), "the swap never came");
        Ok(streams.into_iter().map(Stream::into_choice).collect())
    }

    fn check(
        &self,
        request: &GenerateRequest,
        never: &Choice,
        swapped: &Choice,
        in_flight: InFlight,
    ) -> anyhow::Result<()> {
        ensure!(swapped.tokens.len() == TOKENS as usize, "the stream was cut");
        let boundary = swapped
            .spans
            .iter()
            .find(|span| span.version == AFTER)
            .map(|span| span.start as usize)
            .context("the stream did not cross the swap")?;
        ensure!(boundary > 0, "the stream began after the swap");
        ensure!(
            swapped.tokens[..boundary] == never.tokens[..boundary]
                && swapped.logprobs[..boundary] == never.logprobs[..boundary],
            "tokens before the swap differ from a run without one"
        );
        ensure!(
            swapped.logprobs[boundary..] != never.logprobs[boundary..],
            "the new weights changed nothing, so the comparison shows nothing"
        );
        let replay = match in_flight {
            InFlight::Keep => self.run(std::slice::from_ref(request), Some((boundary, in_flight)))?,
            _ => self.resume(request, &swapped.tokens[..boundary])?,
        };
        let replayed = &replay[0];
        // A resumed stream reports only what it adds.
        let tail = replayed.tokens.len() - (TOKENS as usize - boundary);
        ensure!(
            replayed.tokens[tail..] == swapped.tokens[boundary..]
                && replayed.logprobs[tail..] == swapped.logprobs[boundary..],
            "tokens after the swap differ from the replay"
        );
        Ok(())
    }

    /// Goes on after `tokens` under the new weights alone.
    fn resume(&self, request: &GenerateRequest, tokens: &[u32]) -> anyhow::Result<Vec<Choice>> {
        let mut engine = self.engine(&self.updated)?;
        let resumed = GenerateRequest {
            resume: tokens.to_vec(),
            ..request.clone()
        };
        let mut stream = Stream::submit(&mut engine, &resumed);
        while engine.step() {
            stream.drain()?;
        }
        Ok(vec![stream.into_choice()])
    }
}

/// One request and what has come of it.
struct Stream {
    generation: Generation,
    collected: Collected,
}

impl Stream {
    fn submit(engine: &mut Engine, request: &GenerateRequest) -> Self {
        let seed = request.sampling.seed.unwrap_or_default();
        let (events, received) = event_channel(request);
        let weights = engine.store().policy();
        engine.add(request, &weights, seed, &events);
        Self {
            generation: Generation::new(seed, request.n, received),
            collected: Collected::new(seed, request.n),
        }
    }

    fn drain(&mut self) -> anyhow::Result<()> {
        while let Some(event) = self.generation.try_next() {
            self.collected.push(event)?;
        }
        Ok(())
    }

    fn tokens(&self) -> usize {
        self.collected.completion.choices[0].tokens.len()
    }

    fn into_choice(mut self) -> Choice {
        self.collected.completion.choices.swap_remove(0)
    }
}
