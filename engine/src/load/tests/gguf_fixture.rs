//! GGUF files written by the tests themselves.

use std::fs;
use std::path::Path;

use candle_core::quantized::gguf_file::{self, Value};
use candle_core::quantized::{GgmlDType, QTensor};
use candle_core::{Device, Tensor};

use super::tiny;
use crate::config::{Family, ModelConfig};
use crate::params::Params;

pub(super) type Metadata = Vec<(String, Value)>;

pub(super) fn text(value: &str) -> Value {
    Value::String(value.to_owned())
}

pub(super) fn texts<'a>(values: impl IntoIterator<Item = &'a str>) -> Value {
    Value::Array(values.into_iter().map(text).collect())
}

pub(super) fn wide(family: Family, tie: bool) -> ModelConfig {
    // Rows of quantised tensors are multiples of 32 elements.
    ModelConfig {
        hidden_size: 32,
        intermediate_size: 64,
        head_dim: 8,
        ..tiny(family, tie)
    }
}

/// Metadata as converters write it, with the bytes-only vocabulary and one merge.
pub(super) fn metadata(config: &ModelConfig, arch: &str) -> Metadata {
    let number = |value: usize| Value::U32(u32::try_from(value).unwrap());
    let mut tokens: Vec<String> = (0..=255u8)
        .map(|byte| crate::text::byte_to_char(byte).to_string())
        .collect();
    tokens.extend(["<|endoftext|>", "<|im_start|>", "<|im_end|>", "hi"].map(str::to_owned));
    let kinds = (0..tokens.len())
        .map(|id| Value::I32(if matches!(id, 256..=258) { 3 } else { 1 }))
        .collect();
    vec![
        ("general.architecture".into(), text(arch)),
        (format!("{arch}.block_count"), number(config.layers)),
        (format!("{arch}.context_length"), number(config.max_position_embeddings)),
        (format!("{arch}.embedding_length"), number(config.hidden_size)),
        (format!("{arch}.feed_forward_length"), number(config.intermediate_size)),
        (format!("{arch}.attention.head_count"), number(config.heads)),
        (format!("{arch}.attention.head_count_kv"), number(config.kv_heads)),
        (format!("{arch}.attention.key_length"), number(config.head_dim)),
        (
            format!("{arch}.attention.layer_norm_rms_epsilon"),
            Value::F32(config.rms_norm_eps),
        ),
        (format!("{arch}.rope.freq_base"), Value::F32(config.rope.theta)),
        ("tokenizer.ggml.model".into(), text("gpt2")),
        ("tokenizer.ggml.pre".into(), text("smollm")),
        ("tokenizer.ggml.tokens".into(), texts(tokens.iter().map(String::as_str))),
        ("tokenizer.ggml.token_type".into(), Value::Array(kinds)),
        ("tokenizer.ggml.merges".into(), texts(["h i"])),
        ("tokenizer.ggml.eos_token_id".into(), Value::U32(258)),
        ("tokenizer.ggml.bos_token_id".into(), Value::U32(257)),
        (
            "tokenizer.chat_template".into(),
            text("{{ messages[0].content }}{{ eos_token }}"),
        ),
    ]
}

/// GGUF's names of one layer, by hand.
const NAMES: [(&str, &str); 14] = [
    ("input_layernorm.weight", "attn_norm.weight"),
    ("self_attn.q_proj.weight", "attn_q.weight"),
    ("self_attn.q_proj.bias", "attn_q.bias"),
    ("self_attn.k_proj.weight", "attn_k.weight"),
    ("self_attn.k_proj.bias", "attn_k.bias"),
    ("self_attn.v_proj.weight", "attn_v.weight"),
    ("self_attn.v_proj.bias", "attn_v.bias"),
    ("self_attn.q_norm.weight", "attn_q_norm.weight"),
    ("self_attn.k_norm.weight", "attn_k_norm.weight"),
    ("self_attn.o_proj.weight", "attn_output.weight"),
    ("post_attention_layernorm.weight", "ffn_norm.weight"),
    ("mlp.gate_proj.weight", "ffn_gate.weight"),
    ("mlp.up_proj.weight", "ffn_up.weight"),
    ("mlp.down_proj.weight", "ffn_down.weight"),
];

fn gguf_name(name: &str) -> String {
    match name {
        "model.embed_tokens.weight" => "token_embd.weight".into(),
        "model.norm.weight" => "output_norm.weight".into(),
        "lm_head.weight" => "output.weight".into(),
        _ => {
            let (layer, part) = name.strip_prefix("model.layers.").unwrap().split_once('.').unwrap();
            let part = NAMES.iter().find(|(known, _)| *known == part).unwrap().1;
            format!("blk.{layer}.{part}")
        }
    }
}

/// What the Llama converter does to q and k: `[heads, 2, width / 2, columns]` with the middle axes swapped.
fn permute(tensor: &Tensor, heads: usize) -> Tensor {
    let (rows, columns) = tensor.dims2().unwrap();
    let split = tensor.reshape((heads, 2, rows / heads / 2, columns)).unwrap();
    split
        .transpose(1, 2)
        .unwrap()
        .contiguous()
        .unwrap()
        .reshape((rows, columns))
        .unwrap()
}

pub(super) fn tensors(params: &Params, config: &ModelConfig, kind: GgmlDType) -> Vec<(String, QTensor)> {
    let permuted = matches!(config.family, Family::Llama | Family::Mistral);
    let tensor = |entry: &crate::params::ParamEntry| {
        let values = params.get(&entry.name).unwrap().to_vec();
        let mut tensor = Tensor::from_vec(values, entry.shape.clone(), &Device::Cpu).unwrap();
        if permuted && entry.name.ends_with("q_proj.weight") {
            tensor = permute(&tensor, config.heads);
        }
        if permuted && entry.name.ends_with("k_proj.weight") {
            tensor = permute(&tensor, config.kv_heads);
        }
        let kind = if entry.shape.len() == 1 { GgmlDType::F32 } else { kind };
        (gguf_name(&entry.name), QTensor::quantize(&tensor, kind).unwrap())
    };
    params.layout.entries.iter().map(tensor).collect()
}

pub(super) fn write(path: &Path, metadata: &Metadata, tensors: &[(String, QTensor)]) {
    let metadata: Vec<(&str, &Value)> = metadata.iter().map(|(key, value)| (key.as_str(), value)).collect();
    let tensors: Vec<(&str, &QTensor)> = tensors.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect();
    gguf_file::write(&mut fs::File::create(path).unwrap(), &metadata, &tensors).unwrap();
}
