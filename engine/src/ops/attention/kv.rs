//! Where the keys and values of a position lie.
#![allow(unsafe_code)]

use super::super::par::Disjoint;

/// Positions of a KV block.
pub(crate) const BLOCK_TOKENS: usize = crate::kv::BLOCK_TOKENS;

/// Geometry of a block: per layer the keys `[kv_heads, head_dim, 16]`, then the values `[kv_heads, 16, head_dim]`.
/// Keys lie transposed so that the scores of a block's 16 positions are one vector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct KvShape {
    /// Layers.
    pub(crate) layers: usize,
    /// Key/value heads.
    pub(crate) kv_heads: usize,
    /// Width of a head.
    pub(crate) head_dim: usize,
}

impl KvShape {
    /// Elements of one head of a block.
    pub(crate) fn head_len(&self) -> usize {
        self.head_dim * BLOCK_TOKENS
    }

    /// Elements of the keys (or values) of one layer of a block.
    pub(crate) fn part_len(&self) -> usize {
        self.kv_heads * self.head_len()
    }

    /// Elements of a block.
    pub(crate) fn block_len(&self) -> usize {
        2 * self.layers * self.part_len()
    }
}

/// A cache during a step: several threads write blocks of their own and read blocks that nobody writes.
pub(crate) struct Kv<'a> {
    /// Geometry.
    pub(crate) shape: KvShape,
    values: Disjoint<'a, f32>,
}

impl<'a> Kv<'a> {
    /// Shares `values`, `[blocks, block_len]`.
    pub(crate) fn new(shape: KvShape, values: &'a mut [f32]) -> Self {
        Self {
            shape,
            values: Disjoint::new(values),
        }
    }

    fn offset(&self, block: u32, layer: usize) -> usize {
        block as usize * self.shape.block_len() + 2 * layer * self.shape.part_len()
    }

    /// Keys `[head_dim, 16]` of a block.
    ///
    /// # Safety
    /// Nobody writes the block while the slice lives.
    pub(crate) unsafe fn keys(&self, block: u32, layer: usize, head: usize) -> &[f32] {
        let at = self.offset(block, layer) + head * self.shape.head_len();
        // SAFETY: passed on.
        unsafe { self.values.read(at..at + self.shape.head_len()) }
    }

    /// Values `[16, head_dim]` of a block.
    ///
    /// # Safety
    /// As [`Self::keys`].
    pub(crate) unsafe fn values(&self, block: u32, layer: usize, head: usize) -> &[f32] {
        let at = self.offset(block, layer) + self.shape.part_len() + head * self.shape.head_len();
        // SAFETY: passed on.
        unsafe { self.values.read(at..at + self.shape.head_len()) }
    }

    /// Writes one position: `key` and `value` are `[kv_heads, head_dim]`.
    ///
    /// # Safety
    /// Nobody else reads or writes the block meanwhile.
    pub(crate) unsafe fn write(&self, block: u32, slot: usize, layer: usize, key: &[f32], value: &[f32]) {
        let (at, shape) = (self.offset(block, layer), &self.shape);
        // SAFETY: passed on.
        let both = unsafe { self.values.part(at..at + 2 * shape.part_len()) };
        let (keys, values) = both.split_at_mut(shape.part_len());
        for (column, x) in keys.as_chunks_mut::<BLOCK_TOKENS>().0.iter_mut().zip(key) {
            column[slot] = *x;
        }
        for (head, value) in values
            .chunks_exact_mut(shape.head_len())
            .zip(value.chunks_exact(shape.head_dim))
        {
            head[slot * shape.head_dim..][..shape.head_dim].copy_from_slice(value);
        }
    }
}
