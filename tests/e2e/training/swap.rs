//! A publish while streams run: nothing is dropped, and tokens change only after the swap.

use std::sync::Arc;

use svs_engine::{EngineHandle, Event, GenerateRequest, Generation, InFlight, SamplingParams, TokenEvent, WeightSet};

use super::toy::{Parts, model};

const STREAMS: u64 = 16;
/// Far more than a step, so that a busy machine does not sample them all before the swap.
const TOKENS: u32 = 130;

fn request(engine: &EngineHandle, seed: u64) -> GenerateRequest {
    let prompt = engine
        .tokenizer()
        .encode(&format!("Stream number {seed}:"), false)
        .unwrap();
    let sampling = SamplingParams {
        seed: Some(seed),
        max_tokens: TOKENS,
        ignore_eos: true,
        ..SamplingParams::default()
    };
    GenerateRequest {
        prompt,
        n: 1,
        sampling,
        weights: None,
        cache_salt: None,
        ..GenerateRequest::default()
    }
}

/// Runs all streams to their ends; `swap`, if given, is published once every stream has a token.
fn run(swap: Option<(Arc<WeightSet>, InFlight)>) -> Vec<Vec<TokenEvent>> {
    let folder = tempfile::tempdir().unwrap();
    let engine = Parts::open(folder.path()).engine;
    let requests: Vec<GenerateRequest> = (0..STREAMS).map(|seed| request(&engine, seed)).collect();
    let mut streams: Vec<Generation> = requests
        .into_iter()
        .map(|request| engine.submit(request).unwrap())
        .collect();
    let mut tokens: Vec<Vec<TokenEvent>> = vec![Vec::new(); streams.len()];
    if let Some((weights, in_flight)) = swap {
        for (stream, tokens) in streams.iter_mut().zip(&mut tokens) {
            tokens.extend(next_token(stream));
        }
        let report = engine.publish(weights, in_flight).unwrap();
        let crossing = in_flight != InFlight::Drain;
        assert_eq!(report.in_flight > 0, crossing, "streams that crossed the swap");
    }
    for (stream, tokens) in streams.iter_mut().zip(&mut tokens) {
        while let Some(token) = next_token(stream) {
            tokens.push(token);
        }
    }
    tokens
}

/// The next token, or none after the last.
fn next_token(stream: &mut Generation) -> Option<TokenEvent> {
    match stream.blocking_next()? {
        Event::Token(token) => Some(token),
        Event::Finished { .. } => None,
        other => panic!("{other:?}"),
    }
}

fn ids(tokens: &[TokenEvent]) -> Vec<u32> {
    tokens.iter().map(|token| token.token).collect()
}

#[test]
fn tokens_before_the_swap_equal_a_run_without_one() {
    let still = run(None);
    let mut other = model();
    other.params.values.iter_mut().for_each(|value| *value *= 1.25);
    let weights = Arc::new(WeightSet::pack(&other.config, &other.params, 9, "other"));
    for in_flight in [InFlight::Keep, InFlight::Recompute, InFlight::Drain] {
        let swapped = run(Some((Arc::clone(&weights), in_flight)));
        let mut crossed = 0;
        for (before, after) in still.iter().zip(&swapped) {
            assert_eq!(after.len(), TOKENS as usize, "{in_flight:?}: a stream was cut");
            let boundary = after.iter().position(|token| token.version == 9).unwrap_or(after.len());
            assert_eq!(
                ids(&before[..boundary]),
                ids(&after[..boundary]),
                "{in_flight:?}: a token before the swap"
            );
            assert!(
                after[boundary..].iter().all(|token| token.version == 9),
                "{in_flight:?}: a version went back"
            );
            let mixed = after[boundary..].iter().any(|token| token.mixed_kv);
            assert_eq!(
                mixed,
                in_flight == InFlight::Keep && boundary < after.len(),
                "{in_flight:?}: mixed KV"
            );
            crossed += usize::from(boundary > 0 && boundary < after.len());
        }
        assert_eq!(
            crossed > 0,
            in_flight != InFlight::Drain,
            "{in_flight:?}: {crossed} streams crossed the swap"
        );
    }
}
