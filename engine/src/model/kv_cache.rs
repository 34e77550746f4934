//! The tensors behind KV blocks. Who owns which block is the business of [`crate::kv`].

use crate::config::ModelConfig;

/// Positions of a KV block.
pub const BLOCK_TOKENS: usize = 16;

/// Keys and values of every layer, in blocks of [`BLOCK_TOKENS`] positions, f32.
#[derive(Debug)]
pub struct KvCache {}

impl KvCache {
    /// A cache of `blocks` blocks, zeroed.
    #[must_use]
    pub fn new(_config: &ModelConfig, _blocks: usize) -> Self {
        unimplemented!()
    }

    /// Bytes that one block takes over all layers.
    #[must_use]
    pub fn bytes_per_block(config: &ModelConfig) -> usize {
        2 * config.layers * BLOCK_TOKENS * config.kv_heads * config.head_dim * size_of::<f32>()
    }

    /// Copies the first `tokens` positions of block `from` to block `to` in every layer (copy on write).
    pub fn copy_block(&mut self, _from: u32, _to: u32, _tokens: usize) {
        unimplemented!()
    }
}
