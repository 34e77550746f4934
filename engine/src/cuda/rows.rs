//! What the kernels know of a step's rows: token, position, where its key and value go, and its block table.

use cudarc::driver::CudaSlice;

use super::driver::Stream;
use crate::device::DeviceError;
use crate::kv::BLOCK_TOKENS;
use crate::model::StepBatch;
use crate::ops::rope::RopeTable;

/// A step's rows on the device, u32 each.
#[derive(Debug)]
pub(super) struct DeviceRows {
    /// `[rows]`.
    pub(super) tokens: CudaSlice<u32>,
    /// `[rows]`.
    pub(super) positions: CudaSlice<u32>,
    /// Block · 16 + place in the block of each row, `[rows]`.
    pub(super) slots: CudaSlice<u32>,
    /// Where each row's block table begins in `blocks`, `[rows]`.
    pub(super) tables: CudaSlice<u32>,
    /// The sequences' block tables, one after the other.
    pub(super) blocks: CudaSlice<u32>,
    /// Rows whose logits are wanted.
    pub(super) logit_rows: CudaSlice<u32>,
    host: HostRows,
}

/// The same on the host.
#[derive(Debug, Default)]
pub(super) struct HostRows {
    pub(super) positions: Vec<u32>,
    pub(super) slots: Vec<u32>,
    pub(super) tables: Vec<u32>,
    pub(super) blocks: Vec<u32>,
}

impl DeviceRows {
    /// No rows.
    pub(super) fn new(stream: &Stream) -> Result<Self, DeviceError> {
        Ok(Self {
            tokens: stream.zeros(1)?,
            positions: stream.zeros(1)?,
            slots: stream.zeros(1)?,
            tables: stream.zeros(1)?,
            blocks: stream.zeros(1)?,
            logit_rows: stream.zeros(1)?,
            host: HostRows::default(),
        })
    }

    /// Copies those of `batch` to the device; returns one more than the largest position.
    pub(super) fn fill(&mut self, stream: &Stream, batch: &StepBatch<'_>) -> Result<usize, DeviceError> {
        let end = self.host.fill(batch);
        let put = |slice: &mut CudaSlice<u32>, values: &[u32]| {
            stream.grow(slice, values.len())?;
            stream.write(values, slice)
        };
        put(&mut self.tokens, batch.tokens)?;
        put(&mut self.positions, &self.host.positions)?;
        put(&mut self.slots, &self.host.slots)?;
        put(&mut self.tables, &self.host.tables)?;
        put(&mut self.blocks, &self.host.blocks)?;
        put(&mut self.logit_rows, batch.logit_rows)?;
        Ok(end)
    }
}

impl HostRows {
    /// Takes those of `batch`; returns one more than the largest position.
    pub(super) fn fill(&mut self, batch: &StepBatch<'_>) -> usize {
        let lists = [&mut self.positions, &mut self.slots, &mut self.tables, &mut self.blocks];
        lists.into_iter().for_each(Vec::clear);
        let mut end = 0;
        for sequence in batch.sequences {
            let first = self.blocks.len() as u32;
            let last = sequence.start + sequence.rows.len();
            self.blocks
                .extend_from_slice(&sequence.block_table[..last.div_ceil(BLOCK_TOKENS)]);
            for position in sequence.start..last {
                let block = sequence.block_table[position / BLOCK_TOKENS];
                self.positions.push(position as u32);
                self.slots
                    .push(block * BLOCK_TOKENS as u32 + (position % BLOCK_TOKENS) as u32);
                self.tables.push(first);
            }
            end = end.max(last);
        }
        end
    }
}

/// The first `positions` positions of a table, `[positions, 2, head_dim / 2]`: cosines, then sines.
pub(super) fn rope_values(table: &RopeTable, positions: usize) -> Vec<f32> {
    let both = |position| {
        let (cos, sin) = table.at(position);
        [cos, sin].concat()
    };
    (0..positions).flat_map(both).collect()
}
