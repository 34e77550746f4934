//! A model small enough for unit tests, with random parameters and a byte tokenizer.

use std::sync::Arc;

use svs_engine::config::{Family, Rope};
use svs_engine::load::LoadedModel;
use svs_engine::text::Tokenizer;
use svs_engine::{ModelConfig, ParamLayout, Params};

use crate::seeds::SplitMix;

/// A Llama of two layers and width 16 over bytes.
pub(crate) fn tiny_model(seed: u64) -> LoadedModel {
    let tokenizer = Tokenizer::bytes_only().expect("builds");
    let config = ModelConfig {
        family: Family::Llama,
        vocab_size: tokenizer.vocab_size(),
        hidden_size: 16,
        intermediate_size: 32,
        layers: 2,
        heads: 4,
        kv_heads: 2,
        head_dim: 4,
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
    };
    let layout = Arc::new(ParamLayout::of(&config));
    let mut params = Params::zeros(Arc::clone(&layout));
    let mut random = SplitMix::new(seed);
    for entry in &layout.entries {
        let values = &mut params.values[entry.offset..entry.offset + entry.len()];
        for value in values {
            let unit = (random.next_u64() >> 40) as f32 / (1u64 << 24) as f32;
            *value = if entry.decays() {
                (unit - 0.5) * 0.4
            } else {
                1.0 + (unit - 0.5) * 0.1
            };
        }
    }
    LoadedModel {
        config,
        params,
        tokenizer,
        name: "tiny".into(),
        extras: Vec::new(),
    }
}
