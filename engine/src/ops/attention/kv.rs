//! Where the keys and values of a position lie.
#![allow(unsafe_code)]

use super::super::par::Disjoint;
use super::stored::Stored;

/// Positions of a KV block.
pub(crate) const BLOCK_TOKENS: usize = crate::kv::BLOCK_TOKENS;

/// Geometry of a block: per layer the keys `[kv_heads, head_dim, 16]`, then the values `[kv_heads, 16, head_dim]`.
/// Keys lie transposed so that the scores of a block's 16 positions are one vector. In bf16 two neighbouring dimensions
/// of a key share an element; of a value, the dimensions `i` and `w / 2 + i` of each piece `w` wide (see [`piece`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct KvShape {
    /// Layers.
    pub(crate) layers: usize,
    /// Key/value heads.
    pub(crate) kv_heads: usize,
    /// Width of a head, even.
    pub(crate) head_dim: usize,
}

/// Width of the next piece of a value of which `rest` dimensions are left: what one vector, or one pair of them, takes.
#[inline(always)]
pub(crate) fn piece(rest: usize) -> usize {
    match rest {
        32.. => 32,
        16.. => 16,
        _ => 2,
    }
}

impl KvShape {
    /// Dimensions times positions of one head of a block.
    fn head_len(&self) -> usize {
        self.head_dim * BLOCK_TOKENS
    }

    /// Elements of one head of a block.
    pub(crate) fn head_elements<T: Stored>(&self) -> usize {
        self.head_len() / T::DIMS
    }

    /// Elements of a block.
    pub(crate) fn block_elements<T: Stored>(&self) -> usize {
        2 * self.layers * self.kv_heads * self.head_elements::<T>()
    }

    /// Elements that a position takes of a head's values.
    pub(crate) fn value_elements<T: Stored>(&self) -> usize {
        self.head_dim / T::DIMS
    }
}

/// A cache during a step: several threads write blocks of their own and read blocks that nobody writes.
pub(crate) struct Kv<'a, T: Stored = f32> {
    /// Geometry.
    pub(crate) shape: KvShape,
    elements: Disjoint<'a, T>,
}

impl<'a, T: Stored> Kv<'a, T> {
    /// Shares `elements`, `[blocks, block_elements]`.
    pub(crate) fn new(shape: KvShape, elements: &'a mut [T]) -> Self {
        Self {
            shape,
            elements: Disjoint::new(elements),
        }
    }

    /// First element of the keys (0) or values (1) of a head.
    fn at(&self, block: u32, layer: usize, kind: usize, head: usize) -> usize {
        let head_index = (2 * layer + kind) * self.shape.kv_heads + head;
        block as usize * self.shape.block_elements::<T>() + head_index * self.shape.head_elements::<T>()
    }

    /// Keys of a block, `[head_dim / DIMS, 16]`.
    ///
    /// # Safety
    /// Nobody writes the block while the slice lives.
    pub(crate) unsafe fn keys(&self, block: u32, layer: usize, head: usize) -> &[T] {
        let at = self.at(block, layer, 0, head);
        // SAFETY: passed on.
        unsafe { self.elements.read(at..at + self.shape.head_elements::<T>()) }
    }

    /// Values of a block, `[16, head_dim / DIMS]`.
    ///
    /// # Safety
    /// As [`Self::keys`].
    pub(crate) unsafe fn values(&self, block: u32, layer: usize, head: usize) -> &[T] {
        let at = self.at(block, layer, 1, head);
        // SAFETY: passed on.
        unsafe { self.elements.read(at..at + self.shape.head_elements::<T>()) }
    }

    /// Writes one position: `key` and `value` are `[kv_heads, head_dim]`.
    ///
    /// # Safety
    /// Nobody else reads or writes the block meanwhile.
    pub(crate) unsafe fn write(&self, block: u32, slot: usize, layer: usize, key: &[f32], value: &[f32]) {
        let dim = self.shape.head_dim;
        let heads = key.chunks_exact(dim).zip(value.chunks_exact(dim)).enumerate();
        for (head, (key, value)) in heads {
            let parts = [0, 1].map(|kind| self.at(block, layer, kind, head));
            let len = self.shape.head_elements::<T>();
            // SAFETY: passed on.
            let keys = unsafe { self.elements.part(parts[0]..parts[0] + len) };
            for (column, dims) in keys
                .as_chunks_mut::<BLOCK_TOKENS>()
                .0
                .iter_mut()
                .zip(key.chunks_exact(T::DIMS))
            {
                column[slot] = T::store(dims, 1);
            }
            let width = self.shape.value_elements::<T>();
            let first = parts[1] + slot * width;
            // SAFETY: passed on.
            write_value(unsafe { self.elements.part(first..first + width) }, value);
        }
    }
}

/// One position's value, `[head_dim]`, piece by piece.
fn write_value<T: Stored>(mut out: &mut [T], mut value: &[f32]) {
    while !value.is_empty() {
        let (dims, rest) = value.split_at(piece(value.len()));
        let step = dims.len() / T::DIMS;
        let (elements, others) = out.split_at_mut(step);
        for (i, element) in elements.iter_mut().enumerate() {
            *element = T::store(&dims[i..], step);
        }
        (value, out) = (rest, others);
    }
}
