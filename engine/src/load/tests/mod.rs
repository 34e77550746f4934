//! Fixtures: tiny models written by the tests themselves.

mod config;
mod folder;
mod gguf;
mod gguf_fixture;
mod gguf_text;
mod hub;
mod lora;
mod save;
mod source;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use half::{bf16, f16};
use safetensors::tensor::{Dtype, TensorView};
use serde_json::{Value, json};

use super::config_json;
use crate::config::{Family, ModelConfig, Rope};
use crate::params::{ParamLayout, Params};
use crate::text::Tokenizer;

/// Rows of the embedding: 259 tokens and 5 rows of padding.
const ROWS: usize = 264;

fn tiny(family: Family, tie: bool) -> ModelConfig {
    ModelConfig {
        family,
        vocab_size: ROWS,
        hidden_size: 8,
        intermediate_size: 12,
        layers: 2,
        heads: 4,
        kv_heads: 2,
        head_dim: 4,
        max_position_embeddings: 64,
        rms_norm_eps: 1e-5,
        rope: Rope {
            theta: 10_000.0,
            scaling: None,
        },
        tie_word_embeddings: tie,
        qkv_bias: family == Family::Qwen2,
        qk_norm: family == Family::Qwen3,
        sliding_window: None,
    }
}

/// Values that bf16 and f16 hold exactly, different in every tensor.
fn ramp(config: &ModelConfig) -> Params {
    let mut params = Params::zeros(Arc::new(ParamLayout::of(config)));
    for (at, value) in params.values.iter_mut().enumerate() {
        *value = ((at * 37 % 255) as f32 - 127.0) / 64.0;
    }
    params
}

fn encode(values: &[f32], dtype: Dtype) -> Vec<u8> {
    match dtype {
        Dtype::BF16 => values
            .iter()
            .flat_map(|&value| bf16::from_f32(value).to_le_bytes())
            .collect(),
        Dtype::F16 => values
            .iter()
            .flat_map(|&value| f16::from_f32(value).to_le_bytes())
            .collect(),
        _ => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
    }
}

type Tensors = BTreeMap<String, (Dtype, Vec<usize>, Vec<u8>)>;

fn tensors_of(params: &Params, dtype: Dtype) -> Tensors {
    let entries = params.layout.entries.iter();
    let tensor = |entry: &crate::params::ParamEntry| {
        let values = params.get(&entry.name).unwrap();
        (entry.name.clone(), (dtype, entry.shape.clone(), encode(values, dtype)))
    };
    entries.map(tensor).collect()
}

fn safetensors_bytes<'a>(tensors: impl Iterator<Item = (&'a String, &'a (Dtype, Vec<usize>, Vec<u8>))>) -> Vec<u8> {
    let views =
        tensors.map(|(name, (dtype, shape, data))| (name, TensorView::new(*dtype, shape.clone(), data).unwrap()));
    safetensors::serialize(views, None).unwrap()
}

/// Writes config, tokenizer and generation_config.
fn write_texts(folder: &Path, config: &ModelConfig) {
    let tokenizer = Tokenizer::bytes_only().unwrap();
    fs::write(
        folder.join("config.json"),
        config_json::write(config, &[256], None).to_string(),
    )
    .unwrap();
    fs::write(folder.join("tokenizer.json"), &tokenizer.files().tokenizer_json).unwrap();
    fs::write(
        folder.join("tokenizer_config.json"),
        tokenizer.files().tokenizer_config.as_ref().unwrap(),
    )
    .unwrap();
    fs::write(folder.join("generation_config.json"), r#"{"eos_token_id": [256, 10]}"#).unwrap();
    fs::write(folder.join("svs.json"), r#"{"solve": "Q: {question}\nA:"}"#).unwrap();
}

/// Writes tensors into `shards` files with an index, or into one file.
fn write_weights(folder: &Path, tensors: &Tensors, shards: usize) {
    if shards == 1 {
        fs::write(folder.join("model.safetensors"), safetensors_bytes(tensors.iter())).unwrap();
        return;
    }
    let mut map = serde_json::Map::new();
    for shard in 0..shards {
        let name = format!("model-{:05}-of-{shards:05}.safetensors", shard + 1);
        let part: Vec<_> = tensors.iter().skip(shard).step_by(shards).collect();
        for (tensor, _) in &part {
            map.insert((*tensor).clone(), Value::from(name.clone()));
        }
        fs::write(folder.join(name), safetensors_bytes(part.into_iter())).unwrap();
    }
    let index = json!({"metadata": {"total_size": 1}, "weight_map": map});
    fs::write(folder.join("model.safetensors.index.json"), index.to_string()).unwrap();
}

fn write_model(folder: &Path, config: &ModelConfig, dtype: Dtype, shards: usize) -> Params {
    let params = ramp(config);
    write_texts(folder, config);
    write_weights(folder, &tensors_of(&params, dtype), shards);
    params
}
