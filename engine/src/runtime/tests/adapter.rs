//! Adapters beside the policy, through the engine: the bits of a model merged by hand, versions and places of their own.

use super::*;
use crate::config::Precision;
use crate::load::lora::{Factors, Lora};
use crate::runtime::EngineHandle;
use crate::weights::ADAPTER_VERSIONS;

fn params() -> Params {
    let mut params = Params::zeros(Arc::new(ParamLayout::of(&model())));
    for (at, value) in params.values.iter_mut().enumerate() {
        let [word, ..] = philox4x32_10([at as u32, 1, 0, 0], [1, 2]);
        *value = (f64::from(word) / f64::from(u32::MAX) - 0.5) as f32 * 0.6;
    }
    params
}

/// Rank 2 on the query projection of layer 0, `[32, 32]`.
fn lora() -> Lora {
    let value = |at: usize| ((at * 29 % 31) as f32 - 15.0) / 32.0;
    Lora {
        factors: vec![Factors {
            name: "model.layers.0.self_attn.q_proj.weight".into(),
            rank: 2,
            scale: 0.5,
            a: (0..64).map(value).collect(),
            b: (64..128).map(value).collect(),
        }],
    }
}

fn added_by_hand() -> Params {
    let (mut params, lora) = (params(), lora());
    let Factors { name, a, b, .. } = &lora.factors[0];
    let target = params.get_mut(name).expect("in the layout");
    for row in 0..32 {
        for column in 0..32 {
            target[32 * row + column] += 0.5 * (b[2 * row] * a[column] + b[2 * row + 1] * a[32 + column]);
        }
    }
    params
}

#[test]
fn what_is_asked_for_beside_the_engine_must_fit_beside_its_free_blocks() {
    let engine = start(&params(), (Precision::F32, Precision::F32), 2);
    engine.room_for(&[("little", 1)]).expect("fits");
    let error = engine
        .room_for(&[("much", usize::MAX >> 1), ("more", 2)])
        .expect_err("does not fit");
    let free = engine.stats().kv_blocks_free;
    assert_eq!(free, engine.stats().kv_blocks_total);
    let parts = format!("2 bytes of more + {} bytes of free KV blocks = ", free * 4096);
    assert!(error.to_string().contains(&parts), "{error}");
}

fn start(params: &Params, storage: (Precision, Precision), max_weight_sets: usize) -> EngineHandle {
    let config = EngineConfig {
        weights: storage.0,
        kv: storage.1,
        max_weight_sets,
        threads: Some(1),
        ..EngineConfig::default()
    };
    let set = WeightSet::pack_as(config.storage(), &model(), params, 0, "base");
    EngineHandle::start(Arc::new(set), Tokenizer::bytes_only().expect("built in"), config).expect("bounds hold")
}

fn complete(engine: &EngineHandle, weights: Option<&str>) -> Completion {
    let mut request = request("The quick brown fox jumps over", 5, 40);
    request.weights = weights.map(str::to_owned);
    request.n = 3;
    engine
        .submit(request)
        .expect("taken")
        .collect_blocking()
        .expect("completes")
}

#[test]
fn an_adapter_is_the_model_merged_by_hand_bit_for_bit() {
    for storage in [(Precision::F32, Precision::F32), (Precision::Bf16, Precision::Bf16)] {
        let engine = start(&params(), storage, 4);
        let base = complete(&engine, None);
        let version = engine.adapter_version().expect("room");
        let merged = lora().merge(&params()).expect("fits");
        engine.pin_adapter(version, "math", &merged).expect("room");
        let adapted = complete(&engine, Some("math"));
        let by_hand = complete(&start(&added_by_hand(), storage, 4), None);
        for (choice, expected) in adapted.choices.iter().zip(&by_hand.choices) {
            assert_eq!(choice.tokens, expected.tokens);
            assert_eq!(choice.raw_logprobs, expected.raw_logprobs);
            assert!(choice.spans.iter().all(|span| span.version == version) && !choice.mixed_kv);
        }
        assert_ne!(adapted.choices[0].raw_logprobs, base.choices[0].raw_logprobs);
        // With the KV of both in the prefix index: neither sees the other's.
        assert_eq!(complete(&engine, None).choices, base.choices);
        assert_eq!(complete(&engine, Some("math")).choices, adapted.choices);
    }
}

#[test]
fn adapters_leave_the_policys_versions_and_a_place_for_it() {
    let engine = start(&params(), (Precision::F32, Precision::F32), 4);
    let pin = |name: &str| {
        engine
            .adapter_version()
            .and_then(|version| engine.pin_adapter(version, name, &params()))
    };
    let (first, second) = (pin("a").expect("room"), pin("b").expect("room"));
    assert_eq!(
        (first.version, second.version),
        (ADAPTER_VERSIONS, ADAPTER_VERSIONS + 1)
    );
    let refusal = pin("c").expect_err("one place is for the next publish").to_string();
    assert!(
        refusal.contains("3 weight sets in use + 1") && refusal.contains("= 5, and max_weight_sets is 4"),
        "{refusal}"
    );
    engine.publish(weights(1), InFlight::Keep).expect("the place kept free");
    assert_eq!(engine.weights().policy().version, 1);
    // Statistics follow the answer to a publish.
    let told = (0..5000).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(1));
        engine.stats().version == 1
    });
    assert!(told, "{:?}", engine.stats());
    // Unpinned but leased: still there, by version; its place is taken until the lease ends.
    assert!(engine.weights().unpin(second.version) && !engine.weights().unpin(second.version));
    assert!(engine.adapter_version().is_err());
    assert!(engine.weights().resolve(Some("b")).is_ok());
    drop(second);
    assert!(matches!(
        engine.weights().resolve(Some("b")),
        Err(EngineError::UnknownWeights(_))
    ));
    assert_eq!(pin("b").expect("room again").version, ADAPTER_VERSIONS + 2);
}
