//! The memory plan: how many KV blocks there are, refused with the arithmetic if they and the buffers of a step cannot fit.

use crate::config::{EngineConfig, ModelConfig, Precision};
use crate::device::Device;
use crate::error::EngineError;
use crate::kv::{BLOCK_TOKENS, blocks_for};
use crate::model::KvCache;

use super::room::{available_bytes, fit};
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
    check_bounds(config)?;
    // Other devices are asked when the executor starts.
    let available = available_bytes().filter(|_| config.device == Device::Cpu);
    plan_within(config, model, kv, available)
}

fn check_bounds(config: &EngineConfig) -> Result<(), EngineError> {
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
    Ok(())
}

/// The plan where so much memory is `available`, if anybody knows.
fn plan_within(
    config: &EngineConfig,
    model: &ModelConfig,
    kv: Precision,
    available: Option<usize>,
) -> Result<MemoryPlan, EngineError> {
    let block_bytes = KvCache::bytes_per_block(model, kv);
    let blocks = config.kv_blocks.unwrap_or(config.kv_cache_bytes / block_bytes);
    if blocks == 0 || u32::try_from(blocks).is_err() {
        let asked = config.kv_blocks.map_or_else(
            || {
                format!(
                    "{} bytes hold {blocks} blocks of {block_bytes} bytes",
                    config.kv_cache_bytes
                )
            },
            |blocks| format!("{blocks} blocks"),
        );
        let reason = format!("{asked}; allowed are 1 to {}", u32::MAX);
        return Err(invalid(bound_of_the_cache(config), reason));
    }
    // More blocks than every sequence at full length would never be used.
    let asked = config
        .max_model_len
        .unwrap_or(model.max_position_embeddings)
        .min(model.max_position_embeddings);
    let blocks = blocks.min(blocks_for(asked).saturating_mul(config.max_num_seqs.saturating_add(1)));
    let context_length = asked.min(blocks * BLOCK_TOKENS);
    if config.max_model_len.is_some() && context_length < asked {
        let needed = blocks_for(asked);
        let reason = format!(
            "{blocks} blocks of {BLOCK_TOKENS} tokens hold {context_length} tokens, max_model_len is {asked}; \
             {needed} blocks, {} bytes, would do",
            needed * block_bytes
        );
        return Err(invalid(bound_of_the_cache(config), reason));
    }
    let parts = parts(config, model, blocks.saturating_mul(block_bytes));
    fit(&parts.map(|(_, part)| part), available).map_err(|reason| invalid(bound_of_the_largest(&parts), reason))?;
    Ok(MemoryPlan { blocks, context_length })
}

/// What the KV cache is given by.
fn bound_of_the_cache(config: &EngineConfig) -> &'static str {
    if config.kv_blocks.is_some() {
        "kv_blocks"
    } else {
        "kv_cache_bytes"
    }
}

/// A bound, and the name and bytes of what it allows.
type Part = (&'static str, (&'static str, usize));

fn parts(config: &EngineConfig, model: &ModelConfig, kv_bytes: usize) -> [Part; 4] {
    let logits = |rows: usize| rows.saturating_mul(model.vocab_size * size_of::<f32>());
    [
        (bound_of_the_cache(config), ("KV blocks", kv_bytes)),
        ("max_num_seqs", ("logits of sampled rows", logits(config.max_num_seqs))),
        (
            "max_scored_rows",
            ("logits of scored rows", logits(config.max_scored_rows)),
        ),
        (
            "max_num_batched_tokens",
            ("activations", activation_bytes(config, model)),
        ),
    ]
}

/// The bound to lower where these are too many bytes.
fn bound_of_the_largest(parts: &[Part; 4]) -> &'static str {
    let largest = parts.iter().max_by_key(|(_, (_, bytes))| *bytes);
    largest.map_or(parts[0].0, |(bound, _)| bound)
}

/// What the rows of a step carry through a layer: the residual stream on entry, in the middle and on leaving, states after the
/// norm, queries, keys and values, the output of attention, and the two halves of the gated product with the product.
fn activation_bytes(config: &EngineConfig, model: &ModelConfig) -> usize {
    let shape = model.attention_shape();
    let row = 4 * model.hidden_size + 2 * shape.qkv() + shape.q() + 3 * model.intermediate_size;
    config.max_num_batched_tokens.saturating_mul(row * size_of::<f32>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::tests::model;

    /// Bytes of a block of [`model`]: 2 layers × keys and values × 16 tokens × 2 heads of 8 × 4 bytes.
    const BLOCK: usize = 2 * 2 * 16 * 2 * 8 * 4;
    /// 4 and 3 rows of 259 logits, and 10 rows of 4 × 32 + 2 × 64 + 32 + 3 × 48 values.
    const STEP: usize = 7 * 259 * 4 + 10 * 432 * 4;

    fn config() -> EngineConfig {
        EngineConfig {
            max_num_seqs: 4,
            max_scored_rows: 3,
            max_num_batched_tokens: 10,
            kv_cache_bytes: 40 * BLOCK + 1,
            ..EngineConfig::default()
        }
    }

    #[test]
    fn what_cannot_fit_is_refused_with_the_arithmetic() {
        let all = 40 * BLOCK + STEP;
        let fewer = EngineConfig {
            kv_blocks: Some(3),
            ..config()
        };
        let longer = EngineConfig {
            max_model_len: Some(64),
            ..fewer.clone()
        };
        let none = EngineConfig {
            kv_cache_bytes: BLOCK - 1,
            ..config()
        };
        let sum = format!(
            "{} bytes of KV blocks + 4144 bytes of logits of sampled rows + 3108 bytes of logits of scored rows + 17280 bytes of activations = {all} bytes, {} are available",
            40 * BLOCK,
            all - 1
        );
        let scored = EngineConfig {
            max_scored_rows: usize::MAX,
            ..config()
        };
        let many = EngineConfig {
            max_num_seqs: usize::MAX,
            ..config()
        };
        let blocks = |blocks| EngineConfig {
            kv_blocks: Some(blocks),
            ..config()
        };
        let batched = EngineConfig {
            max_num_batched_tokens: usize::MAX,
            ..config()
        };
        let (kv, endless) = ("kv_cache_bytes", usize::MAX);
        let bytes_of = |what: &str| format!("{endless} bytes of {what}");
        let table = [
            (config(), Some(all), Ok((40, 256))),
            (config(), None, Ok((40, 256))),
            (config(), Some(all - 1), Err((kv, sum))),
            (fewer, Some(3 * BLOCK + STEP), Ok((3, 48))),
            (blocks(40), Some(all), Ok((40, 256))),
            (blocks(40), Some(all - 1), Err(("kv_blocks", format!("{all} bytes")))),
            (blocks(0), None, Err(("kv_blocks", "0 blocks; allowed are 1 to".into()))),
            (
                blocks(1 << 32),
                None,
                Err(("kv_blocks", "4294967296 blocks; allowed are 1 to 4294967295".into())),
            ),
            (
                many,
                Some(all),
                Err(("max_num_seqs", bytes_of("logits of sampled rows"))),
            ),
            (
                scored,
                Some(all),
                Err(("max_scored_rows", bytes_of("logits of scored rows"))),
            ),
            (
                batched,
                Some(all),
                Err(("max_num_batched_tokens", bytes_of("activations"))),
            ),
            (
                longer,
                None,
                Err((
                    "kv_blocks",
                    "hold 48 tokens, max_model_len is 64; 4 blocks, 16384 bytes, would do".into(),
                )),
            ),
            (
                none,
                None,
                Err((kv, "4095 bytes hold 0 blocks of 4096 bytes; allowed are 1 to".into())),
            ),
        ];
        for (config, available, expected) in table {
            let planned = plan_within(&config, &model(), Precision::F32, available);
            match (planned, expected) {
                (Ok(plan), Ok(expected)) => assert_eq!((plan.blocks, plan.context_length), expected),
                (Err(EngineError::InvalidParameter { field, reason }), Err((bound, part))) => {
                    assert_eq!(field, bound);
                    assert!(reason.contains(&part), "{reason}");
                }
                (planned, expected) => panic!("{planned:?}, expected {expected:?}"),
            }
        }
    }

    #[test]
    fn bf16_keys_and_values_take_half() {
        let bf16 = plan_within(&config(), &model(), Precision::Bf16, None).expect("fits");
        // Half the bytes, so twice the blocks, of which four sequences of 256 tokens and one more use 80 at most.
        assert_eq!((bf16.blocks, bf16.context_length), (80, 256));
    }
}
