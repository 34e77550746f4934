//! Checks a shape before memory is taken for it.

use crate::config::ModelConfig;

/// Largest single dimension accepted; vocabularies end at about 2^18.
const MAX_DIMENSION: usize = 1 << 24;
/// Most layers accepted.
const MAX_LAYERS: usize = 1024;
/// Most elements of all parameters together; 2^38 f32 are one TiB.
const MAX_ELEMENTS: u128 = 1 << 38;

/// Refuses shapes that no decoder has. The message names the field as `config.json` calls it.
pub(super) fn check(config: &ModelConfig) -> Result<(), String> {
    for (name, value, most) in [
        ("vocab_size", config.vocab_size, MAX_DIMENSION),
        ("hidden_size", config.hidden_size, MAX_DIMENSION),
        ("intermediate_size", config.intermediate_size, MAX_DIMENSION),
        ("num_hidden_layers", config.layers, MAX_LAYERS),
        ("num_attention_heads", config.heads, 1 << 12),
        ("num_key_value_heads", config.kv_heads, 1 << 12),
        ("head_dim", config.head_dim, 1 << 12),
        ("max_position_embeddings", config.max_position_embeddings, MAX_DIMENSION),
    ] {
        if value == 0 || value > most {
            return Err(format!("`{name}` is {value}, must be from 1 to {most}"));
        }
    }
    if !config.heads.is_multiple_of(config.kv_heads) {
        let (heads, kv_heads) = (config.heads, config.kv_heads);
        return Err(format!(
            "`num_attention_heads` {heads} is not a multiple of `num_key_value_heads` {kv_heads}"
        ));
    }
    if !config.head_dim.is_multiple_of(2) {
        return Err(format!(
            "`head_dim` {} is odd; rotary embeddings need pairs",
            config.head_dim
        ));
    }
    if !(config.rms_norm_eps.is_finite() && config.rms_norm_eps > 0.0) {
        return Err(format!(
            "`rms_norm_eps` {} is not a positive number",
            config.rms_norm_eps
        ));
    }
    let (hidden, mlp) = (config.hidden_size as u128, config.intermediate_size as u128);
    let attention = (2 * config.heads as u128 + 2 * config.kv_heads as u128) * config.head_dim as u128;
    let elements = config.layers as u128 * hidden * (attention + 3 * mlp) + 2 * config.vocab_size as u128 * hidden;
    if elements > MAX_ELEMENTS {
        return Err(format!(
            "about {elements} parameters, at most {MAX_ELEMENTS} are accepted"
        ));
    }
    Ok(())
}
