//! The step loop on a small random model: the same tokens under any load, swaps that change nothing before their
//! boundary, nothing leaked.

mod adapter;
mod named;
mod parity;
mod pause;

use std::sync::Arc;
use std::time::Duration;

mod continued;
mod control;
mod embed;
mod guided;
mod lane;
mod score;
mod swap;
mod tap;

use super::*;
use crate::EngineError;
use crate::config::{EngineConfig, Family, InFlight, ModelConfig, Rope};
use crate::params::{ParamLayout, Params};
use crate::request::{Choice, Completion, FinishReason, GenerateRequest, SamplingParams};
use crate::sampler::philox4x32_10;
use crate::text::Tokenizer;
use crate::weights::WeightSet;

pub(super) fn model() -> ModelConfig {
    ModelConfig {
        family: Family::Llama,
        vocab_size: 259,
        hidden_size: 32,
        intermediate_size: 48,
        layers: 2,
        heads: 4,
        kv_heads: 2,
        head_dim: 8,
        max_position_embeddings: 256,
        rms_norm_eps: 1e-5,
        rope: Rope {
            theta: 10_000.0,
            scaling: None,
        },
        tie_word_embeddings: true,
        qkv_bias: false,
        qk_norm: false,
        sliding_window: None,
    }
}

fn params(version: u64) -> Params {
    let config = model();
    let mut params = Params::zeros(Arc::new(ParamLayout::of(&config)));
    for (at, value) in params.values.iter_mut().enumerate() {
        let [word, ..] = philox4x32_10([at as u32, version as u32, 0, 0], [1, 2]);
        *value = (f64::from(word) / f64::from(u32::MAX) - 0.5) as f32 * 0.6;
    }
    params
}

fn weights(version: u64) -> Arc<WeightSet> {
    let params = params(version);
    Arc::new(WeightSet::pack(&model(), &params, version, &format!("v{version}")))
}

fn engine(config: EngineConfig) -> Engine {
    Engine::new(weights(1), Tokenizer::bytes_only().expect("built in"), &config).expect("bounds hold")
}

fn request(prompt: &str, seed: u64, max_tokens: u32) -> GenerateRequest {
    let sampling = SamplingParams {
        seed: Some(seed),
        max_tokens,
        ignore_eos: true,
        ..SamplingParams::default()
    };
    GenerateRequest {
        prompt: prompt.bytes().map(u32::from).collect(),
        n: 1,
        sampling,
        ..GenerateRequest::default()
    }
}

fn submit(engine: &mut Engine, request: &GenerateRequest) -> (Generation, Collected) {
    let seed = request.sampling.seed.expect("tests give seeds");
    let (events, received) = event_channel(request);
    let weights = engine.store().resolve(request.weights.as_deref()).expect("held");
    engine.add(request, &weights, seed, &events);
    (
        Generation::new(seed, request.n, received),
        Collected::new(seed, request.n),
    )
}

fn drain(waiting: &mut [(Generation, Collected)]) {
    for (generation, collected) in waiting {
        while let Some(event) = generation.try_next() {
            collected.push(event).expect("no request fails");
        }
    }
}

fn run(config: EngineConfig, requests: &[GenerateRequest]) -> Vec<Completion> {
    run_with(engine(config), requests)
}

fn run_with(mut engine: Engine, requests: &[GenerateRequest]) -> Vec<Completion> {
    let mut waiting: Vec<_> = requests.iter().map(|request| submit(&mut engine, request)).collect();
    for _ in 0..10_000 {
        if !engine.step() {
            break;
        }
        drain(&mut waiting);
        engine.check().expect("blocks and queues agree");
    }
    assert!(engine.is_idle(), "requests are left");
    assert_eq!(engine.stats().kv_blocks_used, 0);
    waiting.into_iter().map(|(_, collected)| collected.completion).collect()
}

#[test]
fn the_same_tokens_under_any_load() {
    let texts = [
        "a",
        "The quick brown fox jumps over the lazy dog, twice.",
        "The quick brown fox jumps over it",
        "xyz",
    ];
    let requests: Vec<_> = (0..12)
        .map(|at| {
            let mut request = request(texts[at % 4], at as u64 / 2, 24);
            request.n = 1 + at as u32 % 3;
            if at % 5 == 4 {
                request.sampling.top_p = 0.8;
                request.sampling.presence_penalty = 0.5;
            }
            request
        })
        .collect();
    let alone: Vec<_> = requests
        .iter()
        .map(|request| run(EngineConfig::default(), std::slice::from_ref(request)).remove(0))
        .collect();
    let small = EngineConfig {
        kv_blocks: Some(14),
        ..EngineConfig::default()
    };
    let table = [
        ("together", EngineConfig::default()),
        (
            "small chunks",
            EngineConfig {
                max_num_batched_tokens: 5,
                ..EngineConfig::default()
            },
        ),
        (
            "few places",
            EngineConfig {
                max_num_seqs: 3,
                ..EngineConfig::default()
            },
        ),
        (
            "no prefix cache",
            EngineConfig {
                prefix_cache: false,
                ..EngineConfig::default()
            },
        ),
        ("preemption", small.clone()),
        (
            "preemption in chunks",
            EngineConfig {
                max_num_batched_tokens: 7,
                ..small
            },
        ),
        (
            "one thread",
            EngineConfig {
                threads: Some(1),
                ..EngineConfig::default()
            },
        ),
        (
            "four threads",
            EngineConfig {
                threads: Some(4),
                ..EngineConfig::default()
            },
        ),
    ];
    for (name, config) in table {
        assert_eq!(run(config, &requests), alone, "{name}");
    }
}

#[test]
fn preemption_really_happens_in_the_small_cache() {
    let mut engine = engine(EngineConfig {
        kv_blocks: Some(6),
        ..EngineConfig::default()
    });
    let waiting: Vec<_> = (0..4)
        .map(|seed| submit(&mut engine, &request("some prompt of words", seed, 40)))
        .collect();
    while engine.step() {}
    assert!(engine.stats().preemptions > 0);
    drop(waiting);
}

#[test]
fn stops_and_limits() {
    let free = run(EngineConfig::default(), &[request("hello", 3, 30)])
        .remove(0)
        .choices
        .remove(0);
    let third = free.tokens[2];
    let cut: Vec<_> = free.text.chars().skip(4).take(2).collect();
    let stop: String = cut.into_iter().collect();
    let with = |change: &dyn Fn(&mut SamplingParams)| {
        let mut request = request("hello", 3, 30);
        change(&mut request.sampling);
        run(EngineConfig::default(), &[request]).remove(0).choices.remove(0)
    };
    let at_token = with(&|sampling| sampling.stop_token_ids = vec![third]);
    assert_eq!(at_token.tokens.last(), Some(&third));
    assert!(at_token.tokens.len() <= 3 && at_token.finish_reason == FinishReason::Stop);
    let at_text = with(&|sampling| sampling.stop = vec![stop.clone()]);
    assert_eq!(
        (at_text.finish_reason, at_text.stop.as_deref()),
        (FinishReason::Stop, Some(stop.as_str()))
    );
    assert_eq!(at_text.text, free.text[..free.text.find(&stop).expect("it is there")]);
    let least = with(&|sampling| (sampling.stop_token_ids, sampling.min_tokens) = (free.tokens.clone(), 10));
    assert!(least.tokens.len() >= 10 && least.tokens[..9].iter().all(|token| !free.tokens.contains(token)));
    assert_eq!((free.finish_reason, free.tokens.len()), (FinishReason::Length, 30));
}

#[test]
fn prompts_are_scored_whole_and_alone() {
    let mut scored = request("a prompt that is scored in full", 0, 0);
    scored.sampling.prompt_logprobs = Some(2);
    let whole = run(EngineConfig::default(), &[scored.clone(), scored.clone()]);
    let chunked = run(
        EngineConfig {
            max_num_batched_tokens: 4,
            ..EngineConfig::default()
        },
        &[scored.clone()],
    );
    let prompt = whole[1].prompt.as_ref().expect("asked for");
    assert_eq!(prompt.len(), scored.prompt.len());
    assert_eq!((prompt[0].logprob, prompt[1].top.len()), (None, 2));
    assert!(
        prompt[1..]
            .iter()
            .all(|token| token.logprob.is_some_and(|logprob| logprob < 0.0))
    );
    assert_eq!(chunked[0].prompt, whole[0].prompt);
    assert_eq!(
        (whole[0].choices[0].tokens.len(), whole[0].choices[0].finish_reason),
        (0, FinishReason::Length)
    );
}

fn start(config: EngineConfig) -> EngineHandle {
    EngineHandle::start(weights(1), Tokenizer::bytes_only().expect("built in"), config).expect("bounds hold")
}

#[test]
fn the_thread_serves_aborts_and_stops() {
    let handle = start(EngineConfig {
        max_waiting: 4,
        max_num_seqs: 2,
        ..EngineConfig::default()
    });
    let expected = run(EngineConfig::default(), &[request("abc", 5, 20)]).remove(0);
    let done = handle
        .submit(request("abc", 5, 20))
        .expect("room")
        .collect_blocking()
        .expect("served");
    assert_eq!(done, expected);
    handle.set_paused(true);
    let kept: Vec<_> = (0..4)
        .map(|seed| handle.submit(request("abc", seed, 200)).expect("room"))
        .collect();
    let refused = handle.submit(request("abc", 9, 200));
    assert!(
        matches!(refused, Err(EngineError::Overloaded { limit: 4, .. })),
        "{refused:?}"
    );
    drop(kept);
    handle.set_paused(false);
    let patience = std::time::Instant::now() + Duration::from_secs(20);
    while handle.stats().kv_blocks_used > 0 || handle.stats().waiting > 0 {
        assert!(
            std::time::Instant::now() < patience,
            "aborted requests keep blocks: {:?}",
            handle.stats()
        );
        std::thread::sleep(Duration::from_millis(5));
    }
    let report = handle.publish(weights(2), InFlight::Keep).expect("fits");
    assert_eq!((report.version, handle.weights().policy().version), (2, 2));
    let stale = handle.publish(weights(2), InFlight::Keep);
    assert!(matches!(stale, Err(EngineError::IncompatibleWeights(_))));
    handle.shutdown(Duration::from_secs(5));
    assert!(matches!(
        handle.submit(request("abc", 5, 20)),
        Err(EngineError::Stopped(_))
    ));
}

#[test]
fn refuses_by_name() {
    let handle = start(EngineConfig {
        max_choices: 4,
        ..EngineConfig::default()
    });
    type Row = (&'static str, fn(&mut GenerateRequest));
    let table: [Row; 15] = [
        ("temperature", |r| r.sampling.temperature = -0.1),
        ("temperature", |r| r.sampling.temperature = f32::NAN),
        ("top_p", |r| r.sampling.top_p = 0.0),
        ("top_k", |r| r.sampling.top_k = Some(0)),
        ("min_p", |r| r.sampling.min_p = 1.5),
        ("presence_penalty", |r| r.sampling.presence_penalty = 2.5),
        ("frequency_penalty", |r| r.sampling.frequency_penalty = -2.5),
        ("repetition_penalty", |r| r.sampling.repetition_penalty = 0.0),
        ("n", |r| r.n = 0),
        ("n", |r| r.n = 5),
        ("top_logprobs", |r| r.sampling.top_logprobs = 21),
        ("stop", |r| r.sampling.stop = vec![String::new()]),
        ("min_tokens", |r| r.sampling.min_tokens = 99),
        ("prompt", |r| r.prompt = vec![259]),
        ("logit_bias", |r| r.sampling.logit_bias = vec![(1, 101.0)]),
    ];
    for (name, change) in table {
        let mut request = request("abc", 0, 8);
        change(&mut request);
        match handle.submit(request) {
            Err(EngineError::InvalidParameter { field, .. }) => assert_eq!(field, name),
            other => panic!("{name}: {other:?}"),
        }
    }
    let long = handle.submit(request("abc", 0, 254));
    assert!(
        matches!(
            long,
            Err(EngineError::ContextLengthExceeded {
                context_length: 256,
                ..
            })
        ),
        "{long:?}"
    );
    let unknown = handle.submit(GenerateRequest {
        weights: Some("v9".into()),
        ..request("abc", 0, 8)
    });
    assert!(matches!(unknown, Err(EngineError::UnknownWeights(_))));
}
