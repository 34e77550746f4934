//! The decoder's shape from GGUF metadata.

use super::reader::{Content, Value};
use crate::config::{Family, ModelConfig, Rope, RopeScaling};
use crate::load::{LoadError, shape};

/// Reads the config of the file at `path`.
pub(super) fn config(path: &str, content: &Content) -> Result<ModelConfig, LoadError> {
    let arch = content.text("general.architecture").unwrap_or("none");
    let family = match arch {
        "llama" => Family::Llama,
        "mistral" => Family::Mistral,
        "qwen2" => Family::Qwen2,
        "qwen3" => Family::Qwen3,
        other => {
            let reason = format!("GGUF architecture `{other}` (supported: llama, mistral, qwen2, qwen3)");
            return Err(LoadError::Unsupported(reason));
        }
    };
    let key = |name: &str| format!("{arch}.{name}");
    refuse_unsupported(content, arch)?;
    let size = |name: &str| size(path, content, &key(name));
    let required = |name: &str| {
        size(name)?.ok_or_else(|| LoadError::corrupt(path, format!("metadata `{}` is missing", key(name))))
    };
    let heads = required("attention.head_count")?;
    let hidden_size = required("embedding_length")?;
    let head_dim = match size("attention.key_length")? {
        Some(width) => width,
        None => hidden_size.checked_div(heads).unwrap_or(0),
    };
    let embedding = content.tensors.get("token_embd.weight");
    let embedding = embedding.ok_or_else(|| LoadError::tensor("token_embd.weight", format!("missing from {path}")))?;
    let max_position_embeddings = required("context_length")?;
    let config = ModelConfig {
        family,
        vocab_size: embedding.shape.first().copied().unwrap_or(0),
        hidden_size,
        intermediate_size: required("feed_forward_length")?,
        layers: required("block_count")?,
        heads,
        kv_heads: size("attention.head_count_kv")?.unwrap_or(heads),
        head_dim,
        max_position_embeddings,
        rms_norm_eps: content.float(&key("attention.layer_norm_rms_epsilon")).unwrap_or(1e-6) as f32,
        rope: Rope {
            theta: content.float(&key("rope.freq_base")).unwrap_or(10_000.0) as f32,
            scaling: scaling(content, arch)?,
        },
        tie_word_embeddings: !content.tensors.contains_key("output.weight"),
        qkv_bias: family == Family::Qwen2,
        qk_norm: family == Family::Qwen3,
        sliding_window: size("attention.sliding_window")?
            .filter(|&window| window > 0 && window < max_position_embeddings),
    };
    shape::check(&config).map_err(|reason| LoadError::corrupt(path, reason))?;
    if !(config.rope.theta.is_finite() && config.rope.theta > 1.0) {
        return Err(LoadError::corrupt(
            path,
            format!("`{}` is {}", key("rope.freq_base"), config.rope.theta),
        ));
    }
    for name in ["rope.dimension_count", "attention.value_length"] {
        if size(name)?.is_some_and(|width| width != head_dim) {
            return Err(LoadError::Unsupported(format!(
                "`{}` other than the head's width {head_dim}",
                key(name)
            )));
        }
    }
    Ok(config)
}

/// A whole number, or a list of equal ones (some files give one per layer).
fn size(path: &str, content: &Content, key: &str) -> Result<Option<usize>, LoadError> {
    let number = |value: &Value| value.unsigned().and_then(|size| usize::try_from(size).ok());
    match content.metadata.get(key) {
        None => Ok(None),
        Some(Value::List(list)) if list.windows(2).all(|pair| pair[0] == pair[1]) && !list.is_empty() => {
            Ok(number(&list[0]))
        }
        Some(Value::List(_)) => Err(LoadError::Unsupported(format!("`{key}` that differs between layers"))),
        Some(value) => number(value)
            .map(Some)
            .ok_or_else(|| LoadError::corrupt(path, format!("metadata `{key}` is {value:?}, expected a whole number"))),
    }
}

fn refuse_unsupported(content: &Content, arch: &str) -> Result<(), LoadError> {
    if content
        .unsigned(&format!("{arch}.expert_count"))
        .is_some_and(|experts| experts > 1)
    {
        return Err(LoadError::Unsupported("mixture of experts".into()));
    }
    if content.unsigned("split.count").is_some_and(|count| count > 1) {
        return Err(LoadError::Unsupported(
            "a GGUF split into several files; merge them first".into(),
        ));
    }
    Ok(())
}

fn scaling(content: &Content, arch: &str) -> Result<Option<RopeScaling>, LoadError> {
    let factor = content.float(&format!("{arch}.rope.scaling.factor")).unwrap_or(1.0) as f32;
    match content.text(&format!("{arch}.rope.scaling.type")).unwrap_or("none") {
        "none" => Ok(None),
        "linear" if factor.is_finite() && factor > 0.0 => Ok(Some(RopeScaling::Linear { factor })),
        other => Err(LoadError::Unsupported(format!(
            "rope scaling `{other}` with factor {factor}"
        ))),
    }
}

/// Recovers Llama 3's piecewise scaling from the divisors that converters store in `rope_freqs.weight`, `[head_dim / 2]`.
/// The converter's other inputs are not stored; every published model uses 1, 4 and 8192, and the divisors must agree.
pub(super) fn scaling_of_divisors(divisors: &[f32], config: &ModelConfig) -> Result<Option<RopeScaling>, LoadError> {
    let factor = divisors.iter().copied().fold(1.0, f32::max);
    if divisors.iter().all(|&divisor| divisor == 1.0) {
        return Ok(None);
    }
    let (low, high, original) = (1.0f64, 4.0f64, 8192.0f64);
    let expected = |pair: usize| {
        let exponent = 2.0 * pair as f64 / config.head_dim as f64;
        let wavelength = 2.0 * std::f64::consts::PI * f64::from(config.rope.theta).powf(exponent);
        if wavelength < original / high {
            1.0
        } else if wavelength > original / low {
            f64::from(factor)
        } else {
            let smooth = (original / wavelength - low) / (high - low);
            1.0 / ((1.0 - smooth) / f64::from(factor) + smooth)
        }
    };
    let agrees = |(pair, &divisor): (usize, &f32)| (f64::from(divisor) / expected(pair) - 1.0).abs() < 1e-3;
    if divisors.len() != config.head_dim / 2 || !divisors.iter().enumerate().all(agrees) {
        return Err(LoadError::Unsupported(
            "`rope_freqs.weight` that is not Llama 3's scaling".into(),
        ));
    }
    Ok(Some(RopeScaling::Llama3 {
        factor,
        low_freq_factor: low as f32,
        high_freq_factor: high as f32,
        original_max_position_embeddings: original as usize,
    }))
}
