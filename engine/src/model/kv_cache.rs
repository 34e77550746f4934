//! The tensors behind KV blocks. Who owns which block is the business of [`crate::kv`].

use crate::config::ModelConfig;
pub use crate::kv::BLOCK_TOKENS;
use crate::ops::attention::{Kv, KvShape};

/// Keys and values of every layer, in blocks of [`BLOCK_TOKENS`] positions, f32. A block holds, per layer, the keys
/// `[kv_heads, head_dim, 16]` and the values `[kv_heads, 16, head_dim]`.
#[derive(Debug)]
pub struct KvCache {
    shape: KvShape,
    values: Vec<f32>,
}

impl KvCache {
    /// A cache of `blocks` blocks, zeroed.
    #[must_use]
    pub fn new(config: &ModelConfig, blocks: usize) -> Self {
        let mut cache = Self::of_shape(config, config.layers);
        cache.grow(blocks);
        cache
    }

    /// An empty cache of `layers` layers.
    pub(crate) fn of_shape(config: &ModelConfig, layers: usize) -> Self {
        let shape = KvShape {
            layers,
            kv_heads: config.kv_heads,
            head_dim: config.head_dim,
        };
        Self {
            shape,
            values: Vec::new(),
        }
    }

    /// Makes room for at least `blocks` blocks.
    pub(crate) fn grow(&mut self, blocks: usize) {
        let len = blocks * self.shape.block_len();
        if self.values.len() < len {
            // Zeroed pages come untouched from the system, so an unused cache costs no memory.
            self.values = if self.values.is_empty() {
                vec![0.0; len]
            } else {
                std::mem::take(&mut self.values)
            };
            self.values.resize(len, 0.0);
        }
    }

    /// Blocks held.
    #[must_use]
    pub fn blocks(&self) -> usize {
        self.values.len() / self.shape.block_len()
    }

    /// Bytes that one block takes over all layers.
    #[must_use]
    pub fn bytes_per_block(config: &ModelConfig) -> usize {
        2 * config.layers * BLOCK_TOKENS * config.kv_heads * config.head_dim * size_of::<f32>()
    }

    /// Copies the first `tokens` positions of block `from` to block `to` in every layer (copy on write).
    ///
    /// # Panics
    /// If a block is out of range or `tokens` exceeds a block.
    pub fn copy_block(&mut self, from: u32, to: u32, tokens: usize) {
        assert!(tokens <= BLOCK_TOKENS, "a block has {BLOCK_TOKENS} positions");
        let len = self.shape.block_len();
        let (from, to) = (from as usize * len, to as usize * len);
        if tokens == BLOCK_TOKENS {
            self.values.copy_within(from..from + len, to);
            return;
        }
        let (head_len, dim) = (self.shape.head_len(), self.shape.head_dim);
        // Keys and values alternate, kv_heads heads of each.
        for head in 0..len / head_len {
            let at = head * head_len;
            let transposed = (head / self.shape.kv_heads).is_multiple_of(2);
            let (run, count) = if transposed { (tokens, dim) } else { (tokens * dim, 1) };
            for i in 0..count {
                let source = from + at + i * BLOCK_TOKENS;
                self.values
                    .copy_within(source..source + run, to + at + i * BLOCK_TOKENS);
            }
        }
    }

    /// The cache during a step.
    pub(crate) fn share(&mut self) -> Kv<'_> {
        Kv::new(self.shape, &mut self.values)
    }
}
