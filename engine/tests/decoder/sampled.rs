//! A whole engine on a device: what it samples is what the CPU samples.

use std::sync::Arc;

use svs_engine::text::Tokenizer;
use svs_engine::{Completion, EngineConfig, EngineHandle, GenerateRequest, InFlight, SamplingParams, WeightSet};

use crate::fixture::{Golden, params};
use crate::place::Place;

/// Groups, chunked prefills, too few blocks for all at once, and a publish: tokens and logprobs equal those of the CPU.
pub(crate) fn completions_are_those_of_the_cpu(place: Place) {
    assert_eq!(completions(place), completions(Place::CPU));
}

fn completions(place: Place) -> Vec<Completion> {
    let mut model = Golden::read().models[0].config.clone();
    (model.vocab_size, model.max_position_embeddings) = (259, 128);
    let first = Arc::new(WeightSet::pack(&model, &params(&model), 1, "first"));
    let mut other = params(&model);
    other.values.iter_mut().for_each(|value| *value *= 0.9);
    let second = Arc::new(WeightSet::pack(&model, &other, 2, "second"));
    let config = EngineConfig {
        max_num_batched_tokens: 24,
        max_num_seqs: 8,
        kv_blocks: Some(20),
        device: place.device,
        cuda_mode: place.mode,
        ..EngineConfig::default()
    };
    let tokenizer = Tokenizer::bytes_only().expect("built in");
    let engine = EngineHandle::start(first, tokenizer, config).expect("the device is there");
    let requests = |seed: u64| -> Vec<GenerateRequest> {
        (0..5)
            .map(|i| GenerateRequest {
                prompt: (0..7 + 11 * i).map(|t| (t * 31 + i) % 259).collect(),
                n: 1 + i % 3,
                sampling: SamplingParams {
                    seed: Some(seed + u64::from(i)),
                    max_tokens: 20,
                    ignore_eos: true,
                    ..SamplingParams::default()
                },
                ..GenerateRequest::default()
            })
            .collect()
    };
    let mut done = Vec::new();
    for (seed, publish) in [(1, None), (100, Some(second))] {
        if let Some(weights) = publish {
            engine.publish(weights, InFlight::Drain).expect("the shapes agree");
        }
        let running: Vec<_> = requests(seed)
            .into_iter()
            .map(|request| engine.submit(request).expect("it fits"))
            .collect();
        done.extend(
            running
                .into_iter()
                .map(|run| run.collect_blocking().expect("no request fails")),
        );
    }
    done
}
