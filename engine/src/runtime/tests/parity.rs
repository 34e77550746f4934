//! What the engine records at sampling is, bit for bit, what training computes: in its score and in the forward of its backward.

use super::*;
use crate::config::{Precision, Storage};
use crate::train::{Scratch, TokenGrad, TokenScore, TrainSequence, TrainWeights, accumulate, score};

/// Each pair of storages that may be trained.
fn storages() -> impl Iterator<Item = Storage> {
    let both = [Precision::F32, Precision::Bf16];
    both.into_iter()
        .flat_map(move |weights| both.map(|kv| Storage { weights, kv }))
}

fn requests() -> Vec<GenerateRequest> {
    let mut requests: Vec<_> = (0..6)
        .map(|seed| request(&format!("some prompt {seed}"), seed, 30))
        .collect();
    requests[3].sampling.temperature = 0.7;
    requests[4].n = 3;
    requests[5].n = 2;
    requests[5].sampling.temperature = 1.4;
    requests
}

/// The choices as training sees them, and what sampling recorded of each.
fn recorded(requests: &[GenerateRequest], completions: &[Completion]) -> (Vec<TrainSequence>, Vec<Vec<f32>>) {
    let each = requests.iter().zip(completions).flat_map(|(request, completion)| {
        completion.choices.iter().map(move |choice| {
            let tokens: Vec<u32> = request.prompt.iter().chain(&choice.tokens).copied().collect();
            let sequence = TrainSequence {
                scored: (request.prompt.len() as u32..tokens.len() as u32).collect(),
                tokens,
                temperature: request.sampling.temperature,
            };
            (sequence, choice.logprobs.clone())
        })
    });
    each.unzip()
}

fn logprobs(scores: &[Vec<TokenScore>]) -> Vec<Vec<f32>> {
    let of = |scores: &Vec<TokenScore>| scores.iter().map(|score| score.logprob).collect();
    scores.iter().map(of).collect()
}

#[test]
fn logprobs_at_sampling_are_the_trainers_bit_for_bit() {
    let requests = requests();
    let schedules = [
        EngineConfig {
            max_num_batched_tokens: 9,
            ..EngineConfig::default()
        },
        // Too few blocks for all at once.
        EngineConfig {
            kv_blocks: Some(12),
            ..EngineConfig::default()
        },
    ];
    for storage in storages() {
        let masters = params(1);
        let weights = Arc::new(WeightSet::pack_as(storage, &model(), &masters, 1, "v1"));
        for config in &schedules {
            let tokenizer = Tokenizer::bytes_only().expect("built in");
            let engine = Engine::new(Arc::clone(&weights), tokenizer, config).expect("bounds hold");
            let (sequences, sampled) = recorded(&requests, &run_with(engine, &requests));
            assert_eq!(sequences.len(), 9);
            let scores = score(&weights, &sequences).expect("finite");
            assert_eq!(logprobs(&scores), sampled, "{storage:?}");
            let coefficients: Vec<_> = sampled
                .iter()
                .map(|all| vec![TokenGrad::default(); all.len()])
                .collect();
            let mut grads = Params::zeros(Arc::clone(&masters.layout));
            let trained = TrainWeights::new(Arc::clone(&weights), &masters);
            let scores = accumulate(&trained, &sequences, &coefficients, &mut grads, &mut Scratch::default());
            assert_eq!(logprobs(&scores.expect("finite")), sampled, "{storage:?}");
        }
    }
}
