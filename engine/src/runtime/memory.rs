//! The memory plan: how many KV blocks there are, refused with the arithmetic if they cannot fit.

use crate::config::{EngineConfig, ModelConfig, Precision};
use crate::device::Device;
use crate::error::EngineError;
use crate::kv::{BLOCK_TOKENS, blocks_for};
use crate::model::KvCache;

use super::validate::invalid;

/// Blocks of the KV cache and the longest sequence served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct MemoryPlan {
    pub(super) blocks: usize,
    pub(super) context_length: usize,
}

/// Plans from config and model.
///
/// # Errors
/// [`EngineError::InvalidParameter`] naming the bound and the numbers behind it.
pub(super) fn plan(config: &EngineConfig, model: &ModelConfig, kv: Precision) -> Result<MemoryPlan, EngineError> {
    let bounds = [
        ("max_num_seqs", config.max_num_seqs),
        ("max_num_batched_tokens", config.max_num_batched_tokens),
        ("max_scored_rows", config.max_scored_rows),
        ("max_prompt_rows_beside", config.max_prompt_rows_beside),
        ("max_waiting", config.max_waiting),
        ("max_choices", config.max_choices),
        ("threads", config.threads.unwrap_or(1)),
        ("guides.max_bytes", config.guides.max_bytes),
        ("guides.max_grammar_size", config.guides.max_grammar_size),
        ("guides.max_lexer_states", config.guides.max_lexer_states),
        ("guides.token_items", config.guides.token_items),
        ("guides.row_items", config.guides.row_items),
        ("guides.compile_bytes", config.guides.compile_bytes),
        ("guides.compile_queue", config.guides.compile_queue),
        (
            "guides.compile_seconds",
            usize::try_from(config.guides.compile_seconds).unwrap_or(usize::MAX),
        ),
        ("max_model_len", config.max_model_len.unwrap_or(1)),
    ];
    if let Some((field, _)) = bounds.into_iter().find(|(_, value)| *value == 0) {
        return Err(invalid(field, "must be at least 1".into()));
    }
    let share = config.share_beside_training;
    if !(share > 0.0 && share <= 1.0) {
        return Err(invalid(
            "share_beside_training",
            format!("{share} is out of range; allowed is above 0 to 1"),
        ));
    }
    let block_bytes = KvCache::bytes_per_block(model, kv);
    let blocks = config.kv_blocks.unwrap_or(config.kv_cache_bytes / block_bytes);
    if blocks == 0 || u32::try_from(blocks).is_err() {
        let reason = format!(
            "{} bytes hold {blocks} blocks of {block_bytes} bytes",
            config.kv_cache_bytes
        );
        return Err(invalid("kv_cache_bytes", reason));
    }
    // More blocks than every sequence at full length would never be used.
    let asked = config
        .max_model_len
        .unwrap_or(model.max_position_embeddings)
        .min(model.max_position_embeddings);
    let blocks = blocks.min(blocks_for(asked).saturating_mul(config.max_num_seqs + 1));
    let context_length = asked.min(blocks * BLOCK_TOKENS);
    if config.max_model_len.is_some() && context_length < asked {
        let needed = blocks_for(asked) * block_bytes;
        let reason = format!(
            "{blocks} blocks of {BLOCK_TOKENS} tokens hold {context_length} tokens, max_model_len is {asked}; {needed} bytes would do"
        );
        return Err(invalid("kv_cache_bytes", reason));
    }
    // Other devices are asked when the executor starts.
    let available = available_bytes().filter(|_| config.device == Device::Cpu);
    if let Some(available) = available.filter(|available| blocks * block_bytes > *available) {
        let reason = format!(
            "{blocks} blocks × {block_bytes} bytes = {} bytes, {available} are available",
            blocks * block_bytes
        );
        return Err(invalid("kv_cache_bytes", reason));
    }
    Ok(MemoryPlan { blocks, context_length })
}

/// Memory that can be had without swapping, where the system tells.
pub(super) fn available_bytes() -> Option<usize> {
    let meminfo = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    line.trim()
        .strip_suffix("kB")?
        .trim()
        .parse::<usize>()
        .ok()?
        .checked_mul(1024)
}
