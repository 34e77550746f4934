//! Keys and values on the device. The blocks are the CPU's; within one, a layer's keys `[kv_heads, head_dim, 16]` lie
//! before its values `[kv_heads, 16, head_dim]`, in f32 or bf16.

use cudarc::driver::{CudaSlice, DeviceRepr};

use super::driver::{Stream, failed};
use crate::config::{ModelConfig, Precision};
use crate::device::DeviceError;
use crate::kv::BLOCK_TOKENS;

/// The cache.
#[derive(Debug)]
pub(super) struct DeviceKv {
    pub(super) layers: usize,
    pub(super) blocks: usize,
    /// Elements of a block.
    block_len: usize,
    pub(super) elements: Elements,
}

/// Elements in either precision.
#[derive(Debug)]
pub(super) enum Elements {
    F32(CudaSlice<f32>),
    /// The upper halves of f32 numbers.
    Bf16(CudaSlice<u16>),
}

impl DeviceKv {
    /// A cache of `blocks` blocks, zeroed.
    pub(super) fn new(
        stream: &Stream,
        config: &ModelConfig,
        precision: Precision,
        blocks: usize,
    ) -> Result<Self, DeviceError> {
        let block_len = 2 * config.layers * config.kv_heads * config.head_dim * BLOCK_TOKENS;
        Ok(Self {
            layers: config.layers,
            blocks,
            block_len,
            elements: match precision {
                Precision::F32 => Elements::F32(stream.zeros(blocks * block_len)?),
                Precision::Bf16 => Elements::Bf16(stream.zeros(blocks * block_len)?),
            },
        })
    }

    /// Copies block `from` to block `to`.
    pub(super) fn copy_block(&mut self, stream: &Stream, from: u32, to: u32) -> Result<(), DeviceError> {
        let (from, to, len) = (from as usize, to as usize, self.block_len);
        assert!(from.max(to) < self.blocks, "block out of range");
        if from == to {
            return Ok(());
        }
        match &mut self.elements {
            Elements::F32(elements) => copy(stream, elements, from * len, to * len, len),
            Elements::Bf16(elements) => copy(stream, elements, from * len, to * len, len),
        }
    }
}

/// Copies `len` elements; the ranges are disjoint.
fn copy<T: DeviceRepr>(
    stream: &Stream,
    elements: &mut CudaSlice<T>,
    from: usize,
    to: usize,
    len: usize,
) -> Result<(), DeviceError> {
    let (low, high) = (from.min(to), from.max(to));
    let (mut head, mut tail) = elements.split_at_mut(high);
    let (mut low, mut high) = (head.slice_mut(low..low + len), tail.slice_mut(..len));
    let copied = if from < to {
        stream.stream.memcpy_dtod(&low, &mut high)
    } else {
        stream.stream.memcpy_dtod(&high, &mut low)
    };
    copied.map_err(failed("copying a block"))
}
