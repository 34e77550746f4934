//! The tensors behind KV blocks. Who owns which block is the business of [`crate::kv`].

use crate::config::{ModelConfig, Precision};
pub use crate::kv::BLOCK_TOKENS;
use crate::ops::attention::{Kv, KvShape, Pair, Stored};

/// Keys and values of every layer, in blocks of [`BLOCK_TOKENS`] positions, f32 or bf16. A block holds, per layer, the
/// keys `[kv_heads, head_dim, 16]` and the values `[kv_heads, 16, head_dim]`.
#[derive(Debug)]
pub struct KvCache {
    shape: KvShape,
    elements: Elements,
}

#[derive(Debug)]
enum Elements {
    F32(Aligned<f32>),
    Bf16(Aligned<Pair>),
}

/// A cache during a step, in either precision.
pub(crate) enum SharedKv<'a> {
    F32(Kv<'a, f32>),
    Bf16(Kv<'a, Pair>),
}

/// Runs `$body` with `$elements` bound to the elements of either precision.
macro_rules! either {
    ($cache:expr, $elements:ident => $body:expr) => {
        match $cache {
            Elements::F32($elements) => $body,
            Elements::Bf16($elements) => $body,
        }
    };
}

impl KvCache {
    /// A cache of `blocks` blocks, zeroed.
    #[must_use]
    pub fn new(config: &ModelConfig, precision: Precision, blocks: usize) -> Self {
        let shape = KvShape::of(config, config.layers);
        let elements = match precision {
            Precision::F32 => Elements::F32(Aligned::zeroed(blocks * shape.block_elements::<f32>())),
            Precision::Bf16 => Elements::Bf16(Aligned::zeroed(blocks * shape.block_elements::<Pair>())),
        };
        Self { shape, elements }
    }

    /// Storage of keys and values.
    #[must_use]
    pub fn precision(&self) -> Precision {
        match self.elements {
            Elements::F32(_) => Precision::F32,
            Elements::Bf16(_) => Precision::Bf16,
        }
    }

    /// Blocks held.
    #[must_use]
    pub fn blocks(&self) -> usize {
        either!(&self.elements, elements => elements.len / self.shape.block_elements_of(elements))
    }

    /// Bytes that one block takes over all layers.
    #[must_use]
    pub fn bytes_per_block(config: &ModelConfig, precision: Precision) -> usize {
        let shape = KvShape::of(config, config.layers);
        match precision {
            Precision::F32 => shape.block_elements::<f32>() * size_of::<f32>(),
            Precision::Bf16 => shape.block_elements::<Pair>() * size_of::<Pair>(),
        }
    }

    /// Copies the first `tokens` positions of block `from` to block `to` in every layer (copy on write).
    ///
    /// # Panics
    /// If a block is out of range or `tokens` exceeds a block.
    pub fn copy_block(&mut self, from: u32, to: u32, tokens: usize) {
        assert!(tokens <= BLOCK_TOKENS, "a block has {BLOCK_TOKENS} positions");
        either!(&mut self.elements, elements => copy(self.shape, elements.slice(), from as usize, to as usize, tokens));
    }

    /// The cache during a step.
    pub(crate) fn share(&mut self) -> SharedKv<'_> {
        match &mut self.elements {
            Elements::F32(elements) => SharedKv::F32(Kv::new(self.shape, elements.slice())),
            Elements::Bf16(elements) => SharedKv::Bf16(Kv::new(self.shape, elements.slice())),
        }
    }
}

impl KvShape {
    /// Blocks of `layers` layers of a model.
    pub(crate) fn of(config: &ModelConfig, layers: usize) -> Self {
        Self {
            layers,
            kv_heads: config.kv_heads,
            head_dim: config.head_dim,
        }
    }

    fn block_elements_of<T: Stored>(&self, _: &Aligned<T>) -> usize {
        self.block_elements::<T>()
    }
}

/// Elements that begin at a cache line, so that no vector of them straddles two.
#[derive(Debug)]
pub(crate) struct Aligned<T> {
    room: Vec<T>,
    len: usize,
}

/// Bytes of a cache line.
const LINE: usize = 64;

impl<T: Copy + Default> Aligned<T> {
    /// `len` zeros. Zeroed pages come untouched from the system, so unused ones cost no memory.
    pub(crate) fn zeroed(len: usize) -> Self {
        Self {
            room: vec![T::default(); len + LINE / size_of::<T>()],
            len,
        }
    }

    /// The elements.
    pub(crate) fn slice(&mut self) -> &mut [T] {
        // A vector's memory stays where it is.
        let skip = self.room.as_ptr().align_offset(LINE).min(LINE / size_of::<T>());
        &mut self.room[skip..skip + self.len]
    }
}

fn copy<T: Stored>(shape: KvShape, elements: &mut [T], from: usize, to: usize, tokens: usize) {
    let len = shape.block_elements::<T>();
    let (from, to) = (from * len, to * len);
    if tokens == BLOCK_TOKENS {
        elements.copy_within(from..from + len, to);
        return;
    }
    let head_len = shape.head_elements::<T>();
    // Keys and values alternate, kv_heads heads of each.
    for head in 0..len / head_len {
        let at = head * head_len;
        let transposed = (head / shape.kv_heads).is_multiple_of(2);
        let (run, count) = if transposed {
            (tokens, head_len / BLOCK_TOKENS)
        } else {
            (tokens * shape.value_elements::<T>(), 1)
        };
        for i in 0..count {
            let offset = at + i * BLOCK_TOKENS;
            elements.copy_within(from + offset..from + offset + run, to + offset);
        }
    }
}
