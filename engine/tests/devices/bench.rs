//! Speed of the decoder on a device: prefill and decode of a random model of SmolLM2-135M's shape.

use std::sync::Arc;
use std::time::Instant;

use svs_engine::config::{Family, Rope};
use svs_engine::model::{BLOCK_TOKENS, Executor, SequenceRows, StepBatch};
use svs_engine::{Device, ModelConfig, ParamLayout, Params, Precision, Storage, WeightSet};

use crate::fixture::hashed;
use crate::place::Place;

/// Length of a prompt, and tokens decoded after it.
const PROMPT: usize = 64;
const NEW: usize = 64;
/// Rows of one prefill step.
const STEP_ROWS: usize = 512;

/// Prints a table of tokens per second at several batch sizes, in both precisions.
pub(crate) fn run(device: Device, places: impl Iterator<Item = Place>) {
    let config = model();
    let mut params = Params::zeros(Arc::new(ParamLayout::of(&config)));
    for (i, value) in params.values.iter_mut().enumerate() {
        *value = hashed("bench", i) * 0.1;
    }
    println!(
        "\n{device}: random model of SmolLM2-135M's shape, prompts of {PROMPT} tokens, {NEW} new tokens, KV as the weights"
    );
    println!(
        "{:<8} {:<8} {:>6} {:>16} {:>16} {:>9}",
        "mode", "weights", "batch", "prefill tokens/s", "decode tokens/s", "GFLOP/s"
    );
    let sets = [Precision::F32, Precision::Bf16].map(|precision| {
        let storage = Storage {
            weights: precision,
            kv: precision,
        };
        Arc::new(WeightSet::pack_as(storage, &config, &params, 1, "bench"))
    });
    for place in places {
        for weights in &sets {
            for batch in [1, 16, 64, 256] {
                measure(place, weights, batch);
            }
        }
    }
}

fn model() -> ModelConfig {
    ModelConfig {
        family: Family::Llama,
        vocab_size: 49_152,
        hidden_size: 576,
        intermediate_size: 1536,
        layers: 30,
        heads: 9,
        kv_heads: 3,
        head_dim: 64,
        max_position_embeddings: 8192,
        rms_norm_eps: 1e-5,
        rope: Rope {
            theta: 100_000.0,
            scaling: None,
        },
        tie_word_embeddings: true,
        qkv_bias: false,
        qk_norm: false,
        sliding_window: None,
    }
}

fn measure(place: Place, weights: &Arc<WeightSet>, batch: usize) {
    let per_sequence = (PROMPT + NEW).div_ceil(BLOCK_TOKENS);
    let mut executor = place.executor(weights, batch * per_sequence);
    let tables: Vec<Vec<u32>> = (0..batch * per_sequence)
        .map(|block| block as u32)
        .collect::<Vec<_>>()
        .chunks(per_sequence)
        .map(<[u32]>::to_vec)
        .collect();
    // A step of one row copies the weights to the device.
    step(&mut executor, weights, &tables[..1], 0, 1);
    let began = Instant::now();
    for tables in tables.chunks(STEP_ROWS / PROMPT) {
        step(&mut executor, weights, tables, 0, PROMPT);
    }
    let prefill = began.elapsed().as_secs_f64();
    let began = Instant::now();
    for position in PROMPT..PROMPT + NEW {
        step(&mut executor, weights, &tables, position, 1);
    }
    let decode = began.elapsed().as_secs_f64();
    let rate = (batch * NEW) as f64 / decode;
    let config = &weights.config;
    let (q, kv) = (config.heads * config.head_dim, config.kv_heads * config.head_dim);
    let layer = config.hidden_size * (2 * q + 2 * kv + 3 * config.intermediate_size);
    let flops = 2.0 * (config.layers * layer + config.hidden_size * config.vocab_size) as f64;
    println!(
        "{:<8} {:<8} {batch:>6} {:>16.0} {rate:>16.0} {:>9.0}",
        place.mode.name(),
        weights.storage.weights.name(),
        (batch * PROMPT) as f64 / prefill,
        rate * flops * 1e-9,
    );
}

/// One step of `rows` rows of every sequence from `start` on; the last row's logits of each.
fn step(executor: &mut Executor, weights: &Arc<WeightSet>, tables: &[Vec<u32>], start: usize, rows: usize) {
    let count = tables.len() * rows;
    let tokens: Vec<u32> = (0..count as u32).map(|i| (i * 7919 + start as u32) % 49_152).collect();
    let sequences: Vec<SequenceRows<'_>> = tables
        .iter()
        .enumerate()
        .map(|(i, table)| SequenceRows {
            rows: i * rows..(i + 1) * rows,
            start,
            block_table: table,
        })
        .collect();
    let logit_rows: Vec<u32> = (1..=tables.len()).map(|i| (i * rows - 1) as u32).collect();
    let batch = StepBatch {
        tokens: &tokens,
        sequences: &sequences,
        logit_rows: &logit_rows,
        state_rows: &[],
    };
    executor
        .forward(weights, &batch, &mut Vec::new())
        .expect("the step runs");
}
