//! All of `fast` but the libraries, on candle's CPU device: near the CPU's decoder in f32 and in bf16.

use std::sync::Arc;

use candle_core::Device;

use super::plain::Plain;
use super::{Decoder, check_fit};
use crate::config::{Family, ModelConfig, Precision, Rope, Storage};
use crate::kv::BLOCK_TOKENS;
use crate::model::{KvCache, Scratch, SequenceRows, StepBatch, forward};
use crate::params::{ParamLayout, Params};
use crate::weights::WeightSet;

const BOTH_F32: Storage = Storage {
    weights: Precision::F32,
    kv: Precision::F32,
};
const BOTH_BF16: Storage = Storage {
    weights: Precision::Bf16,
    kv: Precision::Bf16,
};

/// A model with what tells its family from the others.
fn model(family: Family, tied: bool) -> ModelConfig {
    ModelConfig {
        family,
        vocab_size: 53,
        hidden_size: 48,
        intermediate_size: 40,
        layers: 2,
        heads: 4,
        kv_heads: 2,
        head_dim: 64,
        max_position_embeddings: 128,
        rms_norm_eps: 1e-5,
        rope: Rope {
            theta: 10_000.0,
            scaling: None,
        },
        tie_word_embeddings: tied,
        qkv_bias: family == Family::Qwen2,
        qk_norm: family == Family::Qwen3,
        sliding_window: None,
    }
}

fn models() -> [ModelConfig; 4] {
    [
        model(Family::Llama, true),
        model(Family::Mistral, false),
        model(Family::Qwen2, true),
        model(Family::Qwen3, false),
    ]
}

/// A number in [-0.5, 0.5) of its own for each `i`.
fn noise(i: usize) -> f32 {
    let mut x = (i as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    x = (x ^ (x >> 32)).wrapping_mul(0xD6E8_FEB8_6659_FD93);
    ((x >> 40) as f32) / 16_777_216.0 - 0.5
}

fn weights(config: &ModelConfig, storage: Storage, version: u64) -> Arc<WeightSet> {
    let mut params = Params::zeros(Arc::new(ParamLayout::of(config)));
    let first = version as usize * params.values.len();
    for entry in &params.layout.entries {
        let start = if entry.name.ends_with("norm.weight") { 1.0 } else { 0.0 };
        for at in entry.offset..entry.offset + entry.len() {
            params.values[at] = start + 0.5 * noise(first + at);
        }
    }
    Arc::new(WeightSet::pack_as(storage, config, &params, version, "fast"))
}

/// A step: tokens with all logits wanted, and of each sequence the number of its rows, its start and its blocks.
type Step<'a> = (Vec<u32>, Vec<(usize, usize, &'a [u32])>);

/// Prefill in uneven chunks beside decode, over tables out of order, of three sequences of 37, 21 and 3 tokens.
fn steps() -> Vec<Step<'static>> {
    let tokens = |rows: usize, stream: usize| -> Vec<u32> {
        (0..rows)
            .map(|i| ((noise(1000 * stream + i) + 0.5) * 53.0) as u32)
            .collect()
    };
    let tables: [&[u32]; 3] = [&[6, 1, 4], &[0, 7], &[3]];
    vec![
        (tokens(20 + 1, 1), vec![(20, 0, tables[0]), (1, 0, tables[1])]),
        (
            tokens(17 + 16 + 2, 2),
            vec![(17, 20, tables[0]), (16, 1, tables[1]), (2, 0, tables[2])],
        ),
        (tokens(4 + 1, 3), vec![(4, 17, tables[1]), (1, 2, tables[2])]),
    ]
}

fn with_batch<T>((tokens, parts): &Step<'_>, run: impl FnOnce(&StepBatch<'_>) -> T) -> T {
    let mut row = 0;
    let sequences: Vec<SequenceRows<'_>> = parts
        .iter()
        .map(|(rows, start, block_table)| {
            row += rows;
            SequenceRows {
                rows: row - rows..row,
                start: *start,
                block_table,
            }
        })
        .collect();
    let logit_rows: Vec<u32> = (0..tokens.len() as u32).collect();
    run(&StepBatch {
        tokens,
        sequences: &sequences,
        logit_rows: &logit_rows,
        state_rows: &[],
    })
}

/// Largest difference of two lists, relative to the largest magnitude.
fn error(got: &[f32], want: &[f32]) -> f32 {
    assert_eq!(got.len(), want.len());
    let scale = want.iter().fold(0.0_f32, |most, value| most.max(value.abs()));
    let worst = got.iter().zip(want).map(|(a, b)| (a - b).abs());
    worst.fold(0.0_f32, |most, error| if error <= most { most } else { error }) / scale
}

#[test]
fn logits_are_near_the_cpus() {
    for (storage, bar) in [(BOTH_F32, 2e-5), (BOTH_BF16, 0.06)] {
        for config in models() {
            let weights = weights(&config, storage, 1);
            let mut decoder = Decoder::<Plain>::on(Device::Cpu, &weights, 8).unwrap();
            let mut cache = KvCache::new(&config, storage.kv, 8);
            let (mut got, mut want) = (Vec::new(), Vec::new());
            for step in steps() {
                with_batch(&step, |batch| {
                    decoder.forward(&weights, batch, &mut got).unwrap();
                    forward(&weights, &mut cache, batch, &mut Scratch::default(), &mut want);
                });
                let error = error(&got, &want);
                assert!(error < bar, "{:?} {storage:?}: {error:e}", config.family);
            }
        }
    }
}

#[test]
fn a_copied_block_and_another_version_are_what_they_are() {
    let config = model(Family::Llama, true);
    let (first, second) = (weights(&config, BOTH_BF16, 1), weights(&config, BOTH_BF16, 2));
    let mut decoder = Decoder::<Plain>::on(Device::Cpu, &first, 8).unwrap();
    let run = |decoder: &mut Decoder<Plain>, set: &Arc<WeightSet>, start: usize, rows: usize, table: &[u32]| {
        let tokens: Vec<u32> = (start..start + rows).map(|i| (i * 7 % 53) as u32).collect();
        let mut logits = Vec::new();
        let step = (tokens, vec![(rows, start, table)]);
        with_batch(&step, |batch| decoder.forward(set, batch, &mut logits)).unwrap();
        logits
    };
    let prompt = BLOCK_TOKENS + 5;
    run(&mut decoder, &first, 0, prompt, &[2, 3]);
    decoder.copy_block(3, 5).unwrap();
    decoder.copy_block(5, 5).unwrap();
    let original = run(&mut decoder, &first, prompt, 1, &[2, 3]);
    let copy = run(&mut decoder, &first, prompt, 1, &[2, 5]);
    assert_eq!(original, copy);
    let elsewhere = run(&mut decoder, &first, prompt, 1, &[2, 6]);
    assert_ne!(original, elsewhere, "block 6 holds nothing");
    // Of the same shape: what is held is told by the set, and freed with it.
    run(&mut decoder, &second, 0, prompt, &[0, 1]);
    let other = run(&mut decoder, &second, prompt, 1, &[0, 1]);
    assert_ne!(original, other);
    assert_eq!(decoder.held.len(), 2);
    drop(first);
    assert_eq!(run(&mut decoder, &second, prompt, 1, &[0, 1]), other);
    assert_eq!(decoder.held.len(), 1);
}

#[test]
fn a_step_without_rows_or_logits_gives_none() {
    let config = model(Family::Llama, true);
    let weights = weights(&config, BOTH_F32, 1);
    let mut decoder = Decoder::<Plain>::on(Device::Cpu, &weights, 2).unwrap();
    let mut logits = vec![1.0];
    let nothing = StepBatch {
        tokens: &[],
        sequences: &[],
        logit_rows: &[],
        state_rows: &[],
    };
    decoder.forward(&weights, &nothing, &mut logits).unwrap();
    assert!(logits.is_empty());
    let sequences = [SequenceRows {
        rows: 0..3,
        start: 0,
        block_table: &[1],
    }];
    let silent = StepBatch {
        tokens: &[1, 2, 3],
        sequences: &sequences,
        logit_rows: &[],
        state_rows: &[],
    };
    decoder.forward(&weights, &silent, &mut logits).unwrap();
    assert!(logits.is_empty());
}

#[test]
fn what_the_kernels_do_not_take_is_refused_by_name() {
    type Change = fn(&mut ModelConfig, &mut Storage);
    let cases: [(Change, &str); 3] = [
        (|config, _| config.head_dim = 24, "head_dim 24"),
        (|config, _| config.sliding_window = Some(7), "sliding_window 7"),
        (|_, storage| storage.kv = Precision::F32, "KV in f32"),
    ];
    let (config, storage) = (model(Family::Mistral, false), BOTH_BF16);
    check_fit(&weights(&config, storage, 1)).unwrap();
    for (change, named) in cases {
        let (mut config, mut storage) = (config.clone(), storage);
        change(&mut config, &mut storage);
        let error = check_fit(&weights(&config, storage, 1)).unwrap_err().to_string();
        assert!(error.contains(named) && error.contains("`exact`"), "{error}");
    }
}
