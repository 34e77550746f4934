//! The untrained model: shape and seeded random parameters.

use std::sync::Arc;

use serde_json::json;
use svs_engine::config::{Family, Rope};
use svs_engine::load::LoadedModel;
use svs_engine::text::Tokenizer;
use svs_engine::{ModelConfig, ParamLayout, Params};
use svs_trainer::problems::procedural::Rng;

use super::recipe::Recipe;

const PURPOSE: u64 = 0x696e_6974;
/// Deviation of the embedding, which is also the output projection.
const EMBEDDING_STD: f64 = 0.02;

/// A model that has learned nothing yet.
pub(super) fn model(recipe: &Recipe, tokenizer: Tokenizer) -> LoadedModel {
    let shape = &recipe.shape;
    let config = ModelConfig {
        family: Family::Qwen3,
        vocab_size: tokenizer.vocab_size(),
        hidden_size: shape.hidden_size,
        intermediate_size: shape.intermediate_size,
        layers: shape.layers,
        heads: shape.heads,
        kv_heads: shape.kv_heads,
        head_dim: shape.head_dim,
        max_position_embeddings: shape.max_position_embeddings,
        rms_norm_eps: 1e-6,
        rope: Rope {
            theta: 10_000.0,
            scaling: None,
        },
        tie_word_embeddings: true,
        qkv_bias: false,
        qk_norm: true,
        sliding_window: None,
    };
    let params = parameters(&config, recipe.seed);
    let prompts = json!({ "prompts": recipe.prompts });
    let extras = vec![("svs.json".to_owned(), format!("{prompts:#}\n").into_bytes())];
    LoadedModel {
        config,
        params,
        tokenizer,
        name: "tiny-policy".into(),
        extras,
    }
}

/// Norms are 1; matrices are normal with deviation 1/√in, those that write to the residual stream smaller by
/// √(2·layers).
fn parameters(config: &ModelConfig, seed: u64) -> Params {
    let layout = Arc::new(ParamLayout::of(config));
    let mut params = Params::zeros(Arc::clone(&layout));
    let mut rng = Rng::new(seed, PURPOSE);
    for entry in &layout.entries {
        let std = match entry.shape.as_slice() {
            [_, inputs] if entry.name.ends_with("o_proj.weight") || entry.name.ends_with("down_proj.weight") => {
                1.0 / ((*inputs * 2 * config.layers) as f64).sqrt()
            }
            [_, _] if entry.name.contains("embed") => EMBEDDING_STD,
            [_, inputs] => 1.0 / (*inputs as f64).sqrt(),
            _ => 0.0,
        };
        for value in &mut params.values[entry.offset..entry.offset + entry.len()] {
            *value = if std > 0.0 {
                (std * normal(&mut rng)) as f32
            } else {
                1.0
            };
        }
    }
    params
}

/// Nearly normal with deviation 1: the sum of twelve uniforms (Irwin–Hall). Additions only, so every machine draws the
/// same bits, which the logarithm and sine of Box–Muller would not promise.
fn normal(rng: &mut Rng) -> f64 {
    let uniform = |rng: &mut Rng| (rng.next_u64() >> 11) as f64 / (1u64 << 53) as f64;
    (0..12).map(|_| uniform(rng)).sum::<f64>() - 6.0
}
