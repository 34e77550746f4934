//! Pooled hidden states: the same bits under any load, none from a cache that has no states, none where nothing was
//! computed.

use super::*;
use crate::request::Pooling;

const POOLINGS: [Pooling; 2] = [Pooling::Mean, Pooling::Last];

fn text(at: u32) -> Vec<u32> {
    // The first tokens are shared, so that prefixes can be found again.
    (0..9 + at * 23).map(|i| 32 + (i * 11 + i / 40 * at) % 90).collect()
}

fn pooled(pooling: Pooling, tokens: Vec<u32>) -> Vec<f32> {
    let done = run(EngineConfig::default(), &[pooling.lower(tokens)]).remove(0);
    done.pooled.expect("it was asked for")
}

#[test]
fn a_mean_is_that_of_the_last_states_of_all_prefixes() {
    let tokens = text(2);
    let mut sum = vec![0.0_f64; 32];
    for end in 1..=tokens.len() {
        let last = pooled(Pooling::Last, tokens[..end].to_vec());
        sum.iter_mut()
            .zip(&last)
            .for_each(|(sum, value)| *sum += f64::from(*value));
    }
    let mean: Vec<f32> = sum.iter().map(|sum| (sum / tokens.len() as f64) as f32).collect();
    assert_eq!(pooled(Pooling::Mean, tokens.clone()), mean);
    assert_eq!(
        pooled(Pooling::Mean, tokens[..1].to_vec()),
        pooled(Pooling::Last, tokens[..1].to_vec())
    );
}

#[test]
fn the_same_bits_under_any_load() {
    let cases: Vec<_> = (0..6)
        .flat_map(|at| POOLINGS.map(|pooling| (pooling, text(at))))
        .collect();
    let alone: Vec<Vec<f32>> = cases
        .iter()
        .map(|(pooling, tokens)| pooled(*pooling, tokens.clone()))
        .collect();
    let talk: Vec<_> = (0..3).map(|seed| request("meanwhile", seed, 40)).collect();
    let talked: Vec<_> = talk
        .iter()
        .map(|one| run(EngineConfig::default(), std::slice::from_ref(one)).remove(0))
        .collect();
    for (rows, tokens, blocks) in [(128, 512, None), (3, 64, None), (1, 7, None), (5, 33, Some(20))] {
        let config = EngineConfig {
            max_scored_rows: rows,
            max_num_batched_tokens: tokens,
            kv_blocks: blocks,
            ..EngineConfig::default()
        };
        let mut requests: Vec<_> = cases
            .iter()
            .map(|(pooling, tokens)| pooling.lower(tokens.clone()))
            .collect();
        requests.extend(talk.iter().cloned());
        let mut done = run(config, &requests);
        assert_eq!(
            done.split_off(cases.len()),
            talked,
            "generation beside them, {rows} rows"
        );
        for ((completion, alone), (pooling, _)) in done.iter().zip(&alone).zip(&cases) {
            assert_eq!(
                completion.pooled.as_ref(),
                Some(alone),
                "{pooling:?}, {rows} rows, {tokens} tokens"
            );
            assert!(completion.choices[0].tokens.is_empty());
        }
    }
}

#[test]
fn a_prefix_is_computed_once_for_last_states_and_again_for_means() {
    for (pooling, hits) in [(Pooling::Last, 2 * 64), (Pooling::Mean, 0)] {
        let mut engine = engine(EngineConfig::default());
        for _ in 0..3 {
            let mut waiting = [submit(&mut engine, &pooling.lower(text(3)))];
            while engine.step() {}
            drain(&mut waiting);
            assert!(waiting[0].1.completion.pooled.is_some());
        }
        assert_eq!(
            engine.stats().prefix_hits,
            hits,
            "{pooling:?} of {} tokens",
            text(3).len()
        );
    }
}

#[test]
fn states_that_are_no_numbers_fail_their_request() {
    let mut broken = params(2);
    broken.get_mut("model.norm.weight").expect("the layout has it")[3] = f32::NAN;
    let set = Arc::new(WeightSet::pack(&model(), &broken, 2, "broken"));
    let engine = EngineHandle::start(set, Tokenizer::bytes_only().expect("built in"), EngineConfig::default());
    let run = engine
        .expect("it fits")
        .submit(Pooling::Mean.lower(text(0)))
        .expect("it fits");
    let failed = run.collect_blocking();
    assert!(
        matches!(failed, Err(EngineError::NonFiniteLogits { version: 2, .. })),
        "{failed:?}"
    );
}
