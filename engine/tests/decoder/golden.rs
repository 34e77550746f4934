//! Logits, scores and gradients against transformers, for every family.

use std::sync::Arc;

use svs_engine::model::{SequenceRows, StepBatch};
use svs_engine::text::Tokenizer;
use svs_engine::train::{Scratch, TrainWeights, accumulate, score};
use svs_engine::{EngineConfig, EngineHandle, Params, Pooling, WeightSet};

use crate::fixture::{Golden, TENSORS, params, tensor};
use crate::place::Place;

/// Largest difference, relative to the largest expected magnitude.
fn error(got: &[f32], want: &[f32]) -> f32 {
    assert_eq!(got.len(), want.len());
    let scale = want.iter().fold(0.0_f32, |m, x| m.max(x.abs()));
    let worst = got
        .iter()
        .zip(want)
        .fold(0.0_f32, |m, (a, b)| if (a - b).abs() <= m { m } else { (a - b).abs() });
    worst / scale
}

pub(crate) fn logits_equal_transformers(place: Place) {
    let golden = Golden::read();
    let file = safetensors::SafeTensors::deserialize(TENSORS).expect("fixture");
    for model in &golden.models {
        let family = format!("{:?}", model.config.family).to_lowercase();
        let weights = Arc::new(WeightSet::pack(&model.config, &params(&model.config), 1, "golden"));
        let mut executor = place.executor(&weights, 4);
        for (index, sequence) in golden.sequences().iter().enumerate() {
            let rows = sequence.tokens.len();
            // A table out of order, over blocks that hold what the sequence before has left.
            let sequences = [SequenceRows {
                rows: 0..rows,
                start: 0,
                block_table: &[2, 0, 3, 1],
            }];
            let logit_rows: Vec<u32> = (0..rows as u32).collect();
            let batch = StepBatch {
                tokens: &sequence.tokens,
                sequences: &sequences,
                logit_rows: &logit_rows,
                state_rows: &[],
            };
            let mut logits = Vec::new();
            executor.forward(&weights, &batch, &mut logits).expect("the step runs");
            let error = error(&logits, &tensor(&file, &format!("{family}/logits/{index}")));
            assert!(error < 3e-6, "{family} sequence {index}: {error:e}");
        }
    }
}

/// What the engine pools, times the head, is what transformers' logits are in the mean, or at the last token.
pub(crate) fn pooled_states_equal_transformers(place: Place) {
    let golden = Golden::read();
    let file = safetensors::SafeTensors::deserialize(TENSORS).expect("fixture");
    for model in &golden.models {
        let family = format!("{:?}", model.config.family).to_lowercase();
        let params = params(&model.config);
        let head = match model.config.tie_word_embeddings {
            true => "model.embed_tokens.weight",
            false => "lm_head.weight",
        };
        let head = params.get(head).expect("the layout has it");
        let config = EngineConfig {
            max_num_batched_tokens: 11,
            kv_blocks: Some(20),
            device: place.device,
            cuda_mode: place.mode,
            ..EngineConfig::default()
        };
        let set = Arc::new(WeightSet::pack(&model.config, &params, 1, "golden"));
        let engine = EngineHandle::start(set, Tokenizer::bytes_only().expect("built in"), config).expect("it fits");
        for (index, sequence) in golden.sequences().iter().enumerate() {
            let logits = tensor(&file, &format!("{family}/logits/{index}"));
            let rows = logits.chunks_exact(model.config.vocab_size);
            for (pooling, from) in [(Pooling::Mean, 0), (Pooling::Last, sequence.tokens.len() - 1)] {
                let mut want = vec![0.0_f32; model.config.vocab_size];
                for row in rows.clone().skip(from) {
                    want.iter_mut().zip(row).for_each(|(sum, logit)| *sum += logit);
                }
                let count = (sequence.tokens.len() - from) as f32;
                want.iter_mut().for_each(|sum| *sum /= count);
                let run = engine.submit(pooling.lower(sequence.tokens.clone())).expect("it fits");
                let state = run
                    .collect_blocking()
                    .expect("it runs")
                    .pooled
                    .expect("it was asked for");
                let product = |row: &[f32]| row.iter().zip(&state).map(|(a, b)| a * b).sum();
                let got: Vec<f32> = head.chunks_exact(model.config.hidden_size).map(product).collect();
                let error = error(&got, &want);
                assert!(error < 3e-6, "{family} sequence {index}, {pooling:?}: {error:e}");
            }
        }
    }
}

pub(crate) fn scores_and_gradients_equal_torch() {
    let golden = Golden::read();
    let file = safetensors::SafeTensors::deserialize(TENSORS).expect("fixture");
    let sequences = golden.sequences();
    for model in &golden.models {
        let family = format!("{:?}", model.config.family).to_lowercase();
        let params = params(&model.config);
        let set = Arc::new(WeightSet::pack(&model.config, &params, 1, "golden"));
        let weights = TrainWeights::new(set.clone(), &params);
        let mut grads = Params::zeros(params.layout.clone());
        let scratch = &mut Scratch::default();
        let scores = accumulate(&weights, &sequences, &golden.coefficients(), &mut grads, scratch).expect("finite");
        assert_eq!(scores, score(&set, &sequences).expect("finite"), "{family}");
        for (scores, want) in scores.iter().zip(&model.scores) {
            let logprobs: Vec<f32> = scores.iter().map(|s| s.logprob).collect();
            let entropies: Vec<f32> = scores.iter().map(|s| s.entropy).collect();
            assert!(
                error(&logprobs, &want.logprob) < 3e-6,
                "{family}: {:e}",
                error(&logprobs, &want.logprob)
            );
            assert!(
                error(&entropies, &want.entropy) < 3e-6,
                "{family}: {:e}",
                error(&entropies, &want.entropy)
            );
        }
        for entry in &params.layout.entries {
            let got = grads.get(&entry.name).expect("same layout");
            assert!(
                got.iter().all(|g| g.is_finite()) && got.iter().any(|g| *g != 0.0),
                "{family} {}",
                entry.name
            );
            let error = error(got, &tensor(&file, &format!("{family}/grad/{}", entry.name)));
            assert!(error < 2e-5, "{family} {}: {error:e}", entry.name);
        }
    }
}
