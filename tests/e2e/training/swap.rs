//! A publish while streams run: nothing is dropped, tokens change only after the swap, and it waits until there is room.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use svs_engine::{EngineHandle, Event, GenerateRequest, Generation, InFlight, SamplingParams, TokenEvent, WeightSet};

use super::steer::{ask, paused, server, wait_for};
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

#[test]
fn a_publish_waits_for_room_and_a_run_that_waited_too_long_goes_on_from_its_checkpoint() {
    let (_folder, server) = server(|config| config.engine.max_weight_sets = 2);
    let weights = server.stack.engine.weights();
    paused(&server);
    ask(&server, "checkpoint", &Value::Null);
    // As a request that began under these weights, or an evaluation of them.
    let held = weights.policy();
    ask(&server, "step", &Value::Null);
    std::thread::scope(|scope| {
        let stepped = scope.spawn(|| server.post("/v1/train/step", &Value::Null));
        while server.get("/v1/train/status").body["phase"] != "publish" {
            assert!(!stepped.is_finished(), "published without room");
            std::thread::sleep(Duration::from_millis(2));
        }
        std::thread::sleep(Duration::from_millis(100));
        assert!(!stepped.is_finished(), "published without room");
        let version = held.version;
        drop(held);
        let answer = stepped.join().unwrap();
        assert_eq!(answer.status, 200, "{}", answer.body);
        assert_eq!(answer.body["weight_version"].as_u64(), Some(version + 2));
    });

    let held = weights.policy();
    let patience = json!({"config": {"publish_wait_s": 0.05}});
    assert_eq!(server.patch("/v1/train/config", &patience).status, 200);
    let step = ask(&server, "step", &Value::Null)["step"].as_u64().unwrap();
    server.post("/v1/train/step", &Value::Null);
    let failed = wait_for(&server, "failed");
    let error = failed["error"].as_str().unwrap();
    assert!(
        error.contains("publish_wait_s") && error.contains("max_weight_sets is 2"),
        "{error}"
    );
    drop(held);
    ask(&server, "start", &json!({"resume": true}));
    ask(&server, "pause", &Value::Null);
    let resumed = wait_for(&server, "paused")["step"].as_u64().unwrap();
    assert!(resumed < step, "from the checkpoint");
    ask(&server, "step", &Value::Null);
}
