//! Guided samples in the step loop: the same tokens whatever happens around them.

use super::*;
use crate::guide::{Guide, GuideCompiler, GuideLimits};

fn compiler() -> GuideCompiler {
    GuideCompiler::new(Tokenizer::bytes_only().expect("built in"), GuideLimits::default(), None)
}

/// A request held to `guide`, compiled.
fn guided(guide: &Guide, seed: u64, n: u32) -> GenerateRequest {
    let mut request = request("a prompt of some words", seed, 120);
    request.n = n;
    request.sampling.ignore_eos = false;
    request.sampling.guide = Some(guide.clone());
    request.guide = Some(compiler().compile(guide).expect("compiles"));
    request
}

fn words() -> Guide {
    Guide::Regex("([a-c]{2,6} ){3,8}end".into())
}

#[test]
fn guided_samples_are_the_same_under_any_load() {
    let numbers = Guide::JsonSchema(serde_json::json!({
        "type": "array", "items": {"type": "integer", "minimum": 0, "maximum": 999}, "minItems": 4, "maxItems": 9
    }));
    let requests: Vec<_> = (0..8u64)
        .map(|seed| match seed % 3 {
            0 => guided(&words(), seed, 3),
            1 => guided(&numbers, seed, 2),
            _ => request("unguided", seed, 30),
        })
        .collect();
    let alone: Vec<_> = requests
        .iter()
        .map(|request| run(EngineConfig::default(), std::slice::from_ref(request)).remove(0))
        .collect();
    for (request, completion) in requests
        .iter()
        .zip(&alone)
        .filter(|(request, _)| request.guide.is_some())
    {
        for choice in &completion.choices {
            assert_eq!(choice.finish_reason, FinishReason::Stop, "{choice:?}");
            let fits = match request.sampling.guide.as_ref().expect("guided") {
                Guide::Regex(_) => choice.text.ends_with("end"),
                _ => serde_json::from_str::<Vec<u32>>(&choice.text).is_ok_and(|list| (4..=9).contains(&list.len())),
            };
            assert!(fits, "{:?}", choice.text);
            // The masked distribution is narrower than the model's own, and nothing was cut from it.
            assert!(
                choice
                    .logprobs
                    .iter()
                    .zip(&choice.raw_logprobs)
                    .all(|(behaviour, raw)| behaviour >= raw)
            );
            assert!(choice.thresholds.iter().all(Option::is_none));
        }
    }
    let table = [
        ("together", EngineConfig::default()),
        (
            "preemption in chunks",
            EngineConfig {
                kv_blocks: Some(14),
                max_num_batched_tokens: 7,
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
fn a_guided_sample_is_resumed_where_it_was() {
    let whole = guided(&words(), 5, 1);
    let tokens = run(EngineConfig::default(), std::slice::from_ref(&whole))
        .remove(0)
        .choices
        .remove(0)
        .tokens;
    for at in [1, 7, tokens.len() - 2] {
        let resumed = GenerateRequest {
            resume: tokens[..at].to_vec(),
            ..whole.clone()
        };
        let rest = run(EngineConfig::default(), &[resumed])
            .remove(0)
            .choices
            .remove(0)
            .tokens;
        assert_eq!(rest, tokens[at..], "after {at} tokens");
    }
}

#[test]
fn truncation_and_limits_apply_within_the_mask() {
    let mut greedy = guided(&words(), 1, 1);
    greedy.sampling.temperature = 0.0;
    let mut truncated = guided(&words(), 1, 1);
    truncated.sampling.top_k = Some(1);
    let mut late = guided(&Guide::Choice(vec!["ab".into()]), 1, 1);
    // More tokens than the grammar has: the end comes where nothing else can.
    late.sampling.min_tokens = 20;
    let done = run(EngineConfig::default(), &[greedy, truncated, late]);
    assert_eq!(
        done[0].choices[0].tokens, done[1].choices[0].tokens,
        "top-k of one is greedy"
    );
    // Where the grammar leaves one token, nothing is cut.
    let cut = done[1].choices[0]
        .thresholds
        .iter()
        .filter(|threshold| threshold.is_some())
        .count();
    assert!(cut > 0 && cut < done[1].choices[0].tokens.len());
    assert_eq!(
        (done[2].choices[0].text.as_str(), done[2].choices[0].finish_reason),
        ("ab", FinishReason::Stop)
    );
}

#[test]
fn what_exceeds_the_limits_on_the_way_fails_alone() {
    let limits = GuideLimits {
        max_lexer_states: 24,
        ..GuideLimits::default()
    };
    let guide = Guide::Regex("[a-d]*a[a-d]{12}(x|y)".into());
    let compiled = GuideCompiler::new(Tokenizer::bytes_only().expect("built in"), limits, None)
        .compile(&guide)
        .expect("compiles");
    let mut failing = guided(&words(), 2, 1);
    (failing.sampling.guide, failing.guide) = (Some(guide), Some(compiled));
    let mut engine = engine(EngineConfig::default());
    let mut other = [submit(&mut engine, &request("hello", 1, 60))];
    let (mut generation, _) = submit(&mut engine, &failing);
    while engine.step() {
        drain(&mut other);
    }
    let mut last = None;
    while let Some(event) = generation.try_next() {
        last = Some(event);
    }
    assert!(
        matches!(
            &last,
            Some(crate::Event::Failed(EngineError::InvalidParameter {
                field: "guide",
                ..
            }))
        ),
        "{last:?}"
    );
    assert_eq!(other[0].1.completion.choices[0].tokens.len(), 60);
    assert_eq!(engine.stats().kv_blocks_used, 0);
}

#[test]
fn submit_compiles_and_refuses() {
    let handle = EngineHandle::start(
        weights(1),
        Tokenizer::bytes_only().expect("built in"),
        EngineConfig::default(),
    )
    .expect("starts");
    let with = |guide: Guide, ignore_eos: bool| {
        let mut request = request("hello", 3, 60);
        (request.sampling.guide, request.sampling.ignore_eos) = (Some(guide), ignore_eos);
        handle.submit(request)
    };
    let done = with(Guide::Choice(vec!["left".into(), "right".into()]), false).expect("accepted");
    let text = done.collect_blocking().expect("done").choices.remove(0).text;
    assert!(["left", "right"].contains(&text.as_str()), "{text}");
    let table = [
        (Guide::Regex("(".into()), false, "guide"),
        (Guide::Regex("a".into()), true, "ignore_eos"),
    ];
    for (guide, ignore_eos, expected) in table {
        let refused = with(guide, ignore_eos).map(|_| ());
        assert!(matches!(refused, Err(EngineError::InvalidParameter { field, .. }) if field == expected));
    }
}
