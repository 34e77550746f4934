//! A row's result depends on its own sequence only: not on neighbours, chunks, block numbers or threads; and training
//! scores are the bits that sampling would record. Checks of any device; a device's logits are the CPU's bits.

use std::sync::Arc;

use svs_engine::config::Family;
use svs_engine::model::{BLOCK_TOKENS, SequenceRows, StepBatch};
use svs_engine::ops::{Team, logsumexp};
use svs_engine::train::{TrainSequence, score};
use svs_engine::{ModelConfig, Params, Precision, Storage, WeightSet};

use crate::fixture::{Golden, hashed, params};
use crate::place::Place;

/// The fixture's families, and one model large enough for every parallel path.
pub(crate) fn models() -> Vec<ModelConfig> {
    let mut models: Vec<ModelConfig> = Golden::read().models.into_iter().map(|m| m.config).collect();
    let mut wide = models[0].clone();
    (wide.family, wide.hidden_size, wide.intermediate_size, wide.vocab_size) = (Family::Llama, 128, 344, 400);
    (wide.heads, wide.kv_heads, wide.head_dim, wide.max_position_embeddings) = (8, 4, 24, 256);
    models.push(wide);
    models
}

pub(crate) fn tokens(config: &ModelConfig, stream: usize, count: usize) -> Vec<u32> {
    let name = format!("parity{stream}");
    (0..count)
        .map(|i| ((hashed(&name, i) + 0.5) * config.vocab_size as f32) as u32)
        .collect()
}

/// Blocks of sequence `index` of `count`, interleaved so that no table is contiguous.
fn table(index: usize, count: usize) -> Vec<u32> {
    (0..16)
        .map(|block| (block * count + (index + block) % count) as u32)
        .collect()
}

/// Logits of every row of every sequence; sequence `i` advances by `chunks[i]` rows per step, one after the other in
/// the same batch.
pub(crate) fn run(place: Place, weights: &Arc<WeightSet>, sequences: &[Vec<u32>], chunks: &[usize]) -> Vec<Vec<f32>> {
    let vocab = weights.config.vocab_size;
    let mut executor = place.executor(weights, 16 * sequences.len());
    let tables: Vec<_> = (0..sequences.len()).map(|i| table(i, sequences.len())).collect();
    let mut results = vec![Vec::new(); sequences.len()];
    let mut logits = Vec::new();
    loop {
        let (mut batch_tokens, mut rows, mut owners) = (Vec::new(), Vec::new(), Vec::new());
        for (i, sequence) in sequences.iter().enumerate() {
            let start = results[i].len() / vocab;
            let end = sequence.len().min(start + chunks[i]);
            if start < end {
                let first = batch_tokens.len();
                batch_tokens.extend_from_slice(&sequence[start..end]);
                rows.push(SequenceRows {
                    rows: first..batch_tokens.len(),
                    start,
                    block_table: &tables[i],
                });
                owners.push(i);
            }
        }
        if rows.is_empty() {
            return results;
        }
        let logit_rows: Vec<u32> = (0..batch_tokens.len() as u32).collect();
        let batch = StepBatch {
            tokens: &batch_tokens,
            sequences: &rows,
            logit_rows: &logit_rows,
            state_rows: &[],
        };
        executor.forward(weights, &batch, &mut logits).expect("the step runs");
        for (owner, row) in owners.iter().zip(&rows) {
            results[*owner].extend_from_slice(&logits[row.rows.start * vocab..row.rows.end * vocab]);
        }
    }
}

fn same_bits(a: &[f32], b: &[f32]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits())
}

fn on_team<T>(threads: usize, work: impl FnOnce() -> T) -> T {
    Team::new(Some(threads)).expect("threads").install(work)
}

/// Every model in every storage that may be trained.
fn cases() -> impl Iterator<Item = (Storage, ModelConfig)> {
    let both = [Precision::F32, Precision::Bf16];
    let storages = both
        .into_iter()
        .flat_map(move |weights| both.map(|kv| Storage { weights, kv }));
    storages.flat_map(|storage| models().into_iter().map(move |config| (storage, config)))
}

pub(crate) fn a_row_in_a_batch_equals_the_row_alone(place: Place) {
    for (storage, config) in cases() {
        let weights = Arc::new(WeightSet::pack_as(storage, &config, &params(&config), 1, "parity"));
        let sequences: Vec<_> = [61, 1, 17, 40, 16, 33, 58]
            .iter()
            .enumerate()
            .map(|(i, n)| tokens(&config, i, *n))
            .collect();
        let alone: Vec<_> = sequences
            .iter()
            .map(|s| run(place, &weights, std::slice::from_ref(s), &[s.len()]).remove(0))
            .collect();
        for chunks in [[1; 7], [64; 7], [7, 1, 3, 16, 5, 33, 2], [15, 1, 17, 1, 16, 1, 31]] {
            for threads in place.threads() {
                let batched = on_team(*threads, || run(place, &weights, &sequences, &chunks));
                for (i, (batched, alone)) in batched.iter().zip(&alone).enumerate() {
                    assert!(
                        same_bits(batched, alone),
                        "{:?} {storage:?} sequence {i}, chunks {chunks:?}",
                        config.family
                    );
                }
            }
        }
    }
}

pub(crate) fn no_schedule_changes_a_bit(place: Place) {
    // Random lengths, and a random chunk of a random number of rows per step, on any number of threads.
    for (at, (storage, config)) in cases().enumerate() {
        let weights = Arc::new(WeightSet::pack_as(storage, &config, &params(&config), 1, "parity"));
        for round in 0..6 {
            let name = format!("schedule{at}.{round}");
            let random = |i: usize, below: usize| ((hashed(&name, i) + 0.5) * below as f32) as usize;
            let count = 1 + random(0, 12);
            let sequences: Vec<_> = (0..count).map(|i| tokens(&config, i, 1 + random(1 + i, 70))).collect();
            let chunks: Vec<_> = (0..count)
                .map(|i| 1 + random(100 + i, 1 + random(200 + i, 40)))
                .collect();
            let batched = on_team(1 + round % 3, || run(place, &weights, &sequences, &chunks));
            for (i, sequence) in sequences.iter().enumerate() {
                let alone = run(place, &weights, std::slice::from_ref(sequence), &[sequence.len()]).remove(0);
                assert!(
                    same_bits(&batched[i], &alone),
                    "{:?} {storage:?} {name} sequence {i}",
                    config.family
                );
            }
        }
    }
}

/// The same model with its hidden dimensions in reverse order: each sum over them has the same terms in another order.
fn reversed(config: &ModelConfig, params: &Params) -> Params {
    let mut reversed = params.clone();
    for entry in &params.layout.entries {
        let values = &mut reversed.values[entry.offset..entry.offset + entry.len()];
        let outputs = ["o_proj", "down_proj"].iter().any(|name| entry.name.contains(name));
        let per_head = ["q_norm", "k_norm", "bias"]
            .iter()
            .any(|name| entry.name.contains(name));
        if outputs {
            let width = entry.shape[1];
            let rows: Vec<f32> = values.chunks_exact(width).rev().flatten().copied().collect();
            values.copy_from_slice(&rows);
        } else if !per_head && entry.shape.last() == Some(&config.hidden_size) {
            values.chunks_exact_mut(config.hidden_size).for_each(<[f32]>::reverse);
        }
    }
    reversed
}

pub(crate) fn a_kernel_that_sums_in_another_order_is_caught(place: Place) {
    // What the tests above would see of a kernel that sums in another order in a batch than alone: right to rounding, and
    // not the same bits.
    for config in models() {
        let masters = params(&config);
        let alone = Arc::new(WeightSet::pack(&config, &masters, 1, "parity"));
        let variant = Arc::new(WeightSet::pack(&config, &reversed(&config, &masters), 1, "variant"));
        let sequence = tokens(&config, 0, 40);
        let [alone, variant] =
            [alone, variant].map(|set| run(place, &set, std::slice::from_ref(&sequence), &[40]).remove(0));
        let largest = alone
            .iter()
            .zip(&variant)
            .fold(0.0_f32, |most, (a, b)| most.max((a - b).abs()));
        assert!(
            largest < 1e-4,
            "{:?}: the reversed model differs by {largest:e}",
            config.family
        );
        assert!(!same_bits(&alone, &variant), "{:?}", config.family);
    }
}

pub(crate) fn training_scores_are_the_bits_of_sampling(place: Place) {
    for (storage, config) in cases() {
        let weights = Arc::new(WeightSet::pack_as(storage, &config, &params(&config), 1, "parity"));
        let sequences: Vec<_> = (0..5).map(|i| tokens(&config, i, 30 + 7 * i)).collect();
        let logits = run(place, &weights, &sequences, &[1, 9, 64, 3, 16]);
        let temperatures = [1.0, 0.7, 1.3, 0.25, 2.0];
        let train: Vec<TrainSequence> = sequences
            .iter()
            .zip(temperatures)
            .map(|(tokens, temperature)| TrainSequence {
                tokens: tokens.clone(),
                scored: (1..tokens.len() as u32).filter(|t| t % 3 != 0).collect(),
                temperature,
            })
            .collect();
        for threads in [1, 2] {
            let scores = on_team(threads, || score(&weights, &train)).expect("finite");
            for ((sequence, logits), scores) in train.iter().zip(&logits).zip(scores) {
                for (position, score) in sequence.scored.iter().zip(scores) {
                    let row = &logits[(*position as usize - 1) * config.vocab_size..][..config.vocab_size];
                    let scaled: Vec<f32> = match sequence.temperature {
                        1.0 => row.to_vec(),
                        temperature => row.iter().map(|logit| logit / temperature).collect(),
                    };
                    let sampled = scaled[sequence.tokens[*position as usize] as usize] - logsumexp(&scaled);
                    assert_eq!(
                        score.logprob.to_bits(),
                        sampled.to_bits(),
                        "{:?} {storage:?}",
                        config.family
                    );
                }
            }
        }
    }
}

pub(crate) fn a_copied_block_and_a_shared_prefix_change_nothing(place: Place) {
    for (storage, config) in cases() {
        let weights = Arc::new(WeightSet::pack_as(storage, &config, &params(&config), 1, "parity"));
        let sequence = tokens(&config, 0, 45);
        let want = run(place, &weights, std::slice::from_ref(&sequence), &[45]).remove(0);
        // Two samples share the first 37 tokens: two full blocks, and 5 positions of a third that is copied on write,
        // into a block whose other slots are not numbers.
        let shared = 2 * BLOCK_TOKENS + 5;
        let mut executor = place.executor(&weights, 8);
        let mut logits = Vec::new();
        let nan = vec![sequence[0]; BLOCK_TOKENS];
        let mut broken = params(&config);
        broken.values.iter_mut().for_each(|value| *value = f32::NAN);
        let broken = Arc::new(WeightSet::pack_as(storage, &config, &broken, 2, "broken"));
        let rows = [SequenceRows {
            rows: 0..BLOCK_TOKENS,
            start: 0,
            block_table: &[5],
        }];
        let batch = StepBatch {
            tokens: &nan,
            sequences: &rows,
            logit_rows: &[],
            state_rows: &[],
        };
        executor.forward(&broken, &batch, &mut logits).expect("the step runs");
        let rows = [SequenceRows {
            rows: 0..shared,
            start: 0,
            block_table: &[0, 1, 2],
        }];
        let batch = StepBatch {
            tokens: &sequence[..shared],
            sequences: &rows,
            logit_rows: &[],
            state_rows: &[],
        };
        executor.forward(&weights, &batch, &mut logits).expect("the step runs");
        executor.copy_block(2, 5, 5).expect("the copy runs");
        let rest = sequence.len() - shared;
        let both = [&sequence[shared..], &sequence[shared..]].concat();
        let rows = [
            SequenceRows {
                rows: 0..rest,
                start: shared,
                block_table: &[0, 1, 2],
            },
            SequenceRows {
                rows: rest..2 * rest,
                start: shared,
                block_table: &[0, 1, 5],
            },
        ];
        let logit_rows: Vec<u32> = (0..both.len() as u32).collect();
        let batch = StepBatch {
            tokens: &both,
            sequences: &rows,
            logit_rows: &logit_rows,
            state_rows: &[],
        };
        executor.forward(&weights, &batch, &mut logits).expect("the step runs");
        let want = &want[shared * config.vocab_size..];
        assert!(same_bits(&logits[..want.len()], want), "{:?} original", config.family);
        assert!(same_bits(&logits[want.len()..], want), "{:?} copy", config.family);
    }
}

/// The logits of sequences that advance in uneven chunks are those of the CPU.
pub(crate) fn logits_are_the_bits_of_the_cpu(place: Place) {
    for (storage, config) in cases() {
        let weights = Arc::new(WeightSet::pack_as(storage, &config, &params(&config), 1, "parity"));
        let sequences: Vec<_> = (0..4).map(|i| tokens(&config, i, 9 + 17 * i)).collect();
        let logits = run(place, &weights, &sequences, &[1, 16, 5, 64]);
        for (i, (got, want)) in logits
            .iter()
            .zip(run(Place::CPU, &weights, &sequences, &[64; 4]))
            .enumerate()
        {
            assert!(same_bits(got, &want), "{:?} {storage:?} sequence {i}", config.family);
        }
    }
}
