//! Keys and values in the layout of the attention kernels, and what these know of a step's rows.

use candle_core::{DType, Device, IndexOp, Result, Tensor};

use crate::config::ModelConfig;
use crate::cuda::rows::{HostRows, rope_values};
use crate::kv::BLOCK_TOKENS;
use crate::model::StepBatch;
use crate::ops::rope::RopeTable;

/// Bytes of a key that lie together in the kernels' layout.
const KEY_BYTES: usize = 16;

/// One layer's keys `[blocks, kv_heads, head_dim / x, 16, x]`, where `x` numbers are 16 bytes, and its values
/// `[blocks, kv_heads, head_dim, 16]`.
#[derive(Debug)]
pub(crate) struct Cache {
    pub(super) keys: Tensor,
    pub(super) values: Tensor,
}

impl Cache {
    /// A cache of `blocks` blocks, zeroed.
    pub(super) fn new(config: &ModelConfig, blocks: usize, dtype: DType, device: &Device) -> Result<Self> {
        let together = KEY_BYTES / dtype.size_in_bytes();
        let (heads, dim) = (config.kv_heads, config.head_dim);
        let keys = (blocks, heads, dim / together, BLOCK_TOKENS, together);
        Ok(Self {
            keys: Tensor::zeros(keys, dtype, device)?,
            values: Tensor::zeros((blocks, heads, dim, BLOCK_TOKENS), dtype, device)?,
        })
    }

    /// Copies block `from` to another block.
    pub(super) fn copy(&self, from: u32, to: u32) -> Result<()> {
        for tensor in [&self.keys, &self.values] {
            let block = tensor.narrow(0, from as usize, 1)?.copy()?;
            tensor.slice_set(&block, 0, to as usize)?;
        }
        Ok(())
    }
}

/// A step's rows on the device.
#[derive(Debug)]
pub(crate) struct Rows {
    /// Of each row's position, `[rows, head_dim / 2]` f32.
    pub(super) cos: Tensor,
    pub(super) sin: Tensor,
    /// Block · 16 + place in the block, `[rows]` i64.
    pub(super) slots: Tensor,
    /// Each row's blocks up to its position, then zeros, `[rows, blocks of the longest]` u32.
    pub(super) tables: Tensor,
    /// Positions that each row sees, itself included, `[rows]` u32.
    pub(super) contexts: Tensor,
    /// The largest of them.
    pub(super) longest: usize,
}

/// Makes the rows of steps, with the cosines and sines kept from step to step.
#[derive(Debug, Default)]
pub(super) struct RowsMaker {
    host: HostRows,
    rope: RopeTable,
    /// Cosines and sines on the device, `[positions, head_dim / 2]` each.
    table: Option<[Tensor; 2]>,
}

impl RowsMaker {
    /// Those of `batch`, which has rows.
    pub(super) fn make(&mut self, batch: &StepBatch<'_>, frequencies: &[f32], device: &Device) -> Result<Rows> {
        let longest = self.host.fill(batch);
        self.grow_table(frequencies, longest, device)?;
        let [cos, sin] = self.table.as_ref().expect("the table has just been made");
        let host = &self.host;
        let positions = Tensor::new(host.positions.as_slice(), device)?;
        let slots: Vec<i64> = host.slots.iter().map(|slot| i64::from(*slot)).collect();
        let contexts: Vec<u32> = host.positions.iter().map(|position| position + 1).collect();
        let width = longest.div_ceil(BLOCK_TOKENS);
        let mut tables = vec![0; contexts.len() * width];
        for ((table, first), context) in tables.chunks_exact_mut(width).zip(&host.tables).zip(&contexts) {
            let blocks = (*context as usize).div_ceil(BLOCK_TOKENS);
            table[..blocks].copy_from_slice(&host.blocks[*first as usize..][..blocks]);
        }
        Ok(Rows {
            cos: cos.index_select(&positions, 0)?,
            sin: sin.index_select(&positions, 0)?,
            slots: Tensor::new(slots.as_slice(), device)?,
            tables: Tensor::from_vec(tables, (contexts.len(), width), device)?,
            contexts: Tensor::new(contexts.as_slice(), device)?,
            longest,
        })
    }

    fn grow_table(&mut self, frequencies: &[f32], positions: usize, device: &Device) -> Result<()> {
        if let Some([cos, _]) = &self.table
            && cos.dim(0)? >= positions
        {
            return Ok(());
        }
        // Ahead of need, since the whole table is copied.
        let covered = positions.next_power_of_two();
        self.rope.grow(frequencies, covered);
        let values = rope_values(&self.rope, covered);
        let both = Tensor::from_vec(values, (covered, 2, frequencies.len()), device)?;
        self.table = Some([both.i((.., 0))?.contiguous()?, both.i((.., 1))?.contiguous()?]);
        Ok(())
    }
}
