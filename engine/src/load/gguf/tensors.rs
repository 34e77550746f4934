//! Tensors of a GGUF file, dequantised to the f32 arena.

use std::collections::BTreeSet;
use std::io::Cursor;
use std::sync::Arc;

use candle_core::quantized::GgmlDType;
use candle_core::quantized::gguf_file::TensorInfo;
use candle_core::{Device, Shape};

use super::reader::{Content, Stored};
use crate::config::{Family, ModelConfig};
use crate::load::LoadError;
use crate::params::{ParamLayout, Params};

/// Divisors of Llama 3's rotary frequencies; part of the config, not a parameter.
const ROPE_DIVISORS: &str = "rope_freqs.weight";

/// Reads every parameter of `config` from `bytes`, the whole file.
pub(super) fn load(bytes: &[u8], content: &Content, config: &ModelConfig) -> Result<Params, LoadError> {
    let layout = ParamLayout::of(config);
    let mut used = BTreeSet::from([ROPE_DIVISORS.to_owned()]);
    let mut plan = Vec::with_capacity(layout.entries.len());
    for entry in &layout.entries {
        let name = gguf_name(&entry.name);
        let stored = content.tensors.get(&name);
        let stored = stored.ok_or_else(|| LoadError::tensor(&name, "missing from the file"))?;
        if stored.shape != entry.shape {
            let reason = format!("shape {:?}, but the metadata asks for {:?}", stored.shape, entry.shape);
            return Err(LoadError::tensor(&name, reason));
        }
        let checked = check(&name, stored, bytes.len())?;
        used.insert(name.clone());
        plan.push((name, checked));
    }
    if let Some(name) = content.tensors.keys().find(|name| !used.contains(*name)) {
        return Err(LoadError::tensor(
            name,
            format!("is not part of a {:?} model of this shape", config.family),
        ));
    }
    let mut params = Params::zeros(Arc::new(layout));
    let layout = Arc::clone(&params.layout);
    for (entry, (name, info)) in layout.entries.iter().zip(plan) {
        let values = dequantize(&name, &info, bytes)?;
        let target = &mut params.values[entry.offset..entry.offset + entry.len()];
        match permuted_heads(&entry.name, config) {
            Some(heads) => unpermute(&values, heads, entry.shape[0], target),
            None => target.copy_from_slice(&values),
        }
    }
    Ok(params)
}

/// The divisors in `rope_freqs.weight`, if the file has them.
pub(super) fn rope_divisors(bytes: &[u8], content: &Content) -> Result<Option<Vec<f32>>, LoadError> {
    let Some(stored) = content.tensors.get(ROPE_DIVISORS) else {
        return Ok(None);
    };
    let info = check(ROPE_DIVISORS, stored, bytes.len())?;
    dequantize(ROPE_DIVISORS, &info, bytes).map(Some)
}

/// Checks that element type and extent are possible, so that reading cannot take more memory than the file has bytes.
fn check(name: &str, stored: &Stored, file_length: usize) -> Result<TensorInfo, LoadError> {
    let kind = element_type(stored.kind).ok_or_else(|| {
        LoadError::Unsupported(format!(
            "tensor `{name}`: ggml element type {} (the IQ types, for one)",
            stored.kind
        ))
    })?;
    let elements = stored
        .shape
        .iter()
        .try_fold(1usize, |product, &size| product.checked_mul(size));
    let rows_fit = stored
        .shape
        .last()
        .is_some_and(|width| width.is_multiple_of(kind.block_size()));
    let length = elements
        .filter(|_| rows_fit)
        .map(|elements| elements / kind.block_size());
    let length = length.and_then(|blocks| blocks.checked_mul(kind.type_size()));
    let length = length.ok_or_else(|| LoadError::tensor(name, format!("impossible shape {:?}", stored.shape)))?;
    if stored
        .offset
        .checked_add(length as u64)
        .is_none_or(|end| end > file_length as u64)
    {
        let reason = format!(
            "{length} bytes at {} reach beyond the file's {file_length} (truncated?)",
            stored.offset
        );
        return Err(LoadError::tensor(name, reason));
    }
    Ok(TensorInfo {
        ggml_dtype: kind,
        shape: Shape::from(stored.shape.clone()),
        offset: stored.offset,
    })
}

fn dequantize(name: &str, info: &TensorInfo, bytes: &[u8]) -> Result<Vec<f32>, LoadError> {
    let read = || {
        let quantized = info.read(&mut Cursor::new(bytes), 0, &Device::Cpu)?;
        quantized.dequantize(&Device::Cpu)?.flatten_all()?.to_vec1::<f32>()
    };
    let values: Vec<f32> = read().map_err(|error| LoadError::tensor(name, error))?;
    match values.iter().position(|value| !value.is_finite()) {
        Some(at) => Err(LoadError::tensor(name, format!("element {at} is {}", values[at]))),
        None => Ok(values),
    }
}

/// ggml's numbers of the types that candle dequantises.
fn element_type(kind: u32) -> Option<GgmlDType> {
    Some(match kind {
        0 => GgmlDType::F32,
        1 => GgmlDType::F16,
        2 => GgmlDType::Q4_0,
        3 => GgmlDType::Q4_1,
        6 => GgmlDType::Q5_0,
        7 => GgmlDType::Q5_1,
        8 => GgmlDType::Q8_0,
        10 => GgmlDType::Q2K,
        11 => GgmlDType::Q3K,
        12 => GgmlDType::Q4K,
        13 => GgmlDType::Q5K,
        14 => GgmlDType::Q6K,
        30 => GgmlDType::BF16,
        _ => return None,
    })
}

/// GGUF's name of a parameter.
fn gguf_name(name: &str) -> String {
    match name {
        "model.embed_tokens.weight" => return "token_embd.weight".into(),
        "model.norm.weight" => return "output_norm.weight".into(),
        "lm_head.weight" => return "output.weight".into(),
        _ => {}
    }
    let block = name.strip_prefix("model.layers.").and_then(|rest| rest.split_once('.'));
    let Some((layer, part)) = block else {
        return name.to_owned();
    };
    let part = part
        .replace("input_layernorm", "attn_norm")
        .replace("post_attention_layernorm", "ffn_norm")
        .replace("self_attn.o_proj", "attn_output")
        .replace("self_attn.", "attn_")
        .replace("mlp.", "ffn_")
        .replace("_proj", "");
    format!("blk.{layer}.{part}")
}

/// Heads of a projection whose rows the converter reordered: q and k of the Llama architectures, whose ggml kernel rotates
/// neighbouring pairs instead of halves.
fn permuted_heads(name: &str, config: &ModelConfig) -> Option<usize> {
    if !matches!(config.family, Family::Llama | Family::Mistral) {
        return None;
    }
    if name.ends_with("self_attn.q_proj.weight") {
        return Some(config.heads);
    }
    name.ends_with("self_attn.k_proj.weight").then_some(config.kv_heads)
}

/// Row `2i + half` of a head goes back to row `half * width / 2 + i`.
fn unpermute(values: &[f32], heads: usize, rows: usize, target: &mut [f32]) {
    let columns = values.len() / rows;
    let width = rows / heads;
    for (from, row) in values.chunks_exact(columns).enumerate() {
        let (head, within) = (from / width, from % width);
        let to = head * width + within % 2 * (width / 2) + within / 2;
        target[to * columns..(to + 1) * columns].copy_from_slice(row);
    }
}
