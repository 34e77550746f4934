//! The decoder in the CPU's order of sums: the same passes as `model::layer`, over device memory.

use std::sync::{Arc, Weak};

use cudarc::driver::CudaSlice;

use super::acts::Activations;
use super::driver::Stream;
use super::kernels::{Kernels, MAX_HEAD_DIM};
use super::kv::DeviceKv;
use super::launch::Launcher;
use super::rows::{DeviceRows, rope_values};
use super::weights::{DeviceLayer, DeviceWeights};
use crate::config::ModelConfig;
use crate::device::DeviceError;
use crate::model::{KvCache, StepBatch};
use crate::ops::rope::RopeTable;
use crate::weights::WeightSet;

/// Most blocks whose slots a u32 numbers.
const MAX_BLOCKS: usize = 1 << 27;

/// A decoder with its KV cache on a CUDA device.
#[derive(Debug)]
pub(crate) struct Exact {
    stream: Stream,
    kernels: Kernels,
    kv: DeviceKv,
    /// Versions in use, by the sets they were copied from.
    held: Vec<(Weak<WeightSet>, DeviceWeights)>,
    rows: DeviceRows,
    rope: RopeTable,
    /// The rope table on the device, and positions it covers.
    table: (CudaSlice<f32>, usize),
    acts: Activations,
}

impl Exact {
    /// A decoder of models like `weights` on device `ordinal` with `blocks` KV blocks.
    pub(crate) fn new(ordinal: usize, weights: &WeightSet, blocks: usize) -> Result<Self, DeviceError> {
        let config = &weights.config;
        for (field, value, limit) in [
            ("head_dim", config.head_dim, MAX_HEAD_DIM),
            ("kv_blocks", blocks, MAX_BLOCKS),
        ] {
            if value > limit {
                return Err(DeviceError::Shape { field, value, limit });
            }
        }
        let stream = Stream::open(ordinal)?;
        // A publish holds two versions for a while.
        let (bytes, kv) = (
            2 * weights.bytes(),
            blocks * KvCache::bytes_per_block(config, weights.storage.kv),
        );
        let free = stream.free_bytes()?;
        if bytes + kv > free {
            return Err(DeviceError::Memory {
                weights: bytes,
                kv,
                free,
            });
        }
        Ok(Self {
            kernels: Kernels::load(&stream)?,
            kv: DeviceKv::new(&stream, config, weights.storage.kv, blocks)?,
            held: Vec::new(),
            rows: DeviceRows::new(&stream)?,
            rope: RopeTable::default(),
            table: (stream.zeros(1)?, 0),
            acts: Activations::new(&stream)?,
            stream,
        })
    }

    /// Blocks of the cache.
    pub(crate) fn blocks(&self) -> usize {
        self.kv.blocks
    }

    /// Copies block `from` to block `to`.
    pub(crate) fn copy_block(&mut self, from: u32, to: u32) -> Result<(), DeviceError> {
        self.kv.copy_block(&self.stream, from, to)
    }

    /// The step; see `model::forward`. The batch has been checked.
    pub(crate) fn forward(
        &mut self,
        weights: &Arc<WeightSet>,
        batch: &StepBatch<'_>,
        logits: &mut Vec<f32>,
    ) -> Result<(), DeviceError> {
        let config = &weights.config;
        let (rows, wanted) = (batch.tokens.len(), batch.logit_rows.len());
        let at = self.lease(weights)?;
        let end = self.rows.fill(&self.stream, batch)?;
        self.grow_table(weights, end)?;
        self.acts.grow(&self.stream, config, rows, wanted)?;
        let version = &self.held[at].1;
        let launcher = Launcher {
            stream: &self.stream,
            kernels: &self.kernels,
        };
        let (acts, head) = (&mut self.acts, &version.head);
        launcher.embed(
            &self.rows.tokens,
            rows,
            version.embedding.as_ref(),
            head,
            &mut acts.input,
        )?;
        for (index, layer) in version.layers.iter().enumerate() {
            let step = Step {
                launcher,
                config,
                at: &self.rows,
                rows,
                table: &self.table.0,
            };
            step.attend(layer, index, &mut self.kv, acts)?;
            step.mix(layer, acts)?;
        }
        launcher.gather(
            &acts.input,
            &self.rows.logit_rows,
            wanted,
            config.hidden_size,
            &mut acts.middle,
        )?;
        launcher.rms_norm(
            &acts.middle,
            &version.norm,
            wanted,
            config.rms_norm_eps,
            &mut acts.normed,
        )?;
        launcher.linear(&acts.normed, head, wanted, &mut acts.logits)?;
        logits.resize(wanted * config.vocab_size, 0.0);
        self.stream.read(&acts.logits, logits)
    }

    /// The final norm's output behind the logits of the last forward, `len` numbers.
    pub(crate) fn states(&mut self, len: usize, states: &mut Vec<f32>) -> Result<(), DeviceError> {
        states.resize(len, 0.0);
        self.stream.read(&self.acts.normed, states)
    }

    /// Where `weights` are in `held`, copied to the device if they are not; frees those that nobody leases any more.
    fn lease(&mut self, weights: &Arc<WeightSet>) -> Result<usize, DeviceError> {
        let known = |(set, _): &(Weak<WeightSet>, DeviceWeights)| set.as_ptr() == Arc::as_ptr(weights);
        self.held.retain(|(set, _)| set.strong_count() > 0);
        if let Some(at) = self.held.iter().position(known) {
            return Ok(at);
        }
        let version = DeviceWeights::upload(&self.stream, weights)?;
        self.held.push((Arc::downgrade(weights), version));
        Ok(self.held.len() - 1)
    }

    fn grow_table(&mut self, weights: &WeightSet, positions: usize) -> Result<(), DeviceError> {
        if positions > self.table.1 {
            // Ahead of need, since the whole table is copied.
            let covered = positions.next_power_of_two();
            self.rope.grow(&weights.frequencies, covered);
            self.table = (self.stream.upload(&rope_values(&self.rope, covered))?, covered);
        }
        Ok(())
    }
}

/// One layer's passes over a step's rows.
struct Step<'a> {
    launcher: Launcher<'a>,
    config: &'a ModelConfig,
    at: &'a DeviceRows,
    rows: usize,
    table: &'a CudaSlice<f32>,
}

impl Step<'_> {
    /// Attention: `acts.input` to `acts.middle`.
    fn attend(
        &self,
        layer: &DeviceLayer,
        index: usize,
        kv: &mut DeviceKv,
        acts: &mut Activations,
    ) -> Result<(), DeviceError> {
        let (launcher, rows, eps) = (self.launcher, self.rows, self.config.rms_norm_eps);
        let shape = self.config.attention_shape();
        let (width, q) = (shape.qkv(), shape.q());
        launcher.rms_norm(&acts.input, &layer.input_norm, rows, eps, &mut acts.normed)?;
        launcher.linear(&acts.normed, &layer.qkv, rows, &mut acts.qkv)?;
        if let Some(bias) = &layer.qkv_bias {
            launcher.add_bias(&mut acts.qkv, bias, rows)?;
        }
        if let Some([q_norm, k_norm]) = &layer.head_norms {
            launcher.rms_norm_heads(&mut acts.qkv, q_norm, rows, width, 0, shape.heads, eps)?;
            launcher.rms_norm_heads(&mut acts.qkv, k_norm, rows, width, q, shape.kv_heads, eps)?;
        }
        let (turned, half) = (shape.heads + shape.kv_heads, shape.head_dim / 2);
        launcher.rope(&mut acts.qkv, self.table, &self.at.positions, rows, width, turned, half)?;
        launcher.write_kv(&acts.qkv, kv, self.at, rows, &shape, index)?;
        launcher.attention(&acts.qkv, kv, self.at, rows, &shape, index, &mut acts.attention)?;
        launcher.linear(&acts.attention, &layer.o, rows, &mut acts.delta)?;
        launcher.add(
            &acts.input,
            &acts.delta,
            rows,
            self.config.hidden_size,
            &mut acts.middle,
        )
    }

    /// The gated MLP: `acts.middle` to `acts.input` of the next layer.
    fn mix(&self, layer: &DeviceLayer, acts: &mut Activations) -> Result<(), DeviceError> {
        let (launcher, rows) = (self.launcher, self.rows);
        let (hidden, inner) = (self.config.hidden_size, self.config.intermediate_size);
        launcher.rms_norm(
            &acts.middle,
            &layer.post_norm,
            rows,
            self.config.rms_norm_eps,
            &mut acts.normed,
        )?;
        launcher.linear(&acts.normed, &layer.gate_up, rows, &mut acts.gate_up)?;
        launcher.swiglu(&acts.gate_up, rows, inner, &mut acts.gated)?;
        launcher.linear(&acts.gated, &layer.down, rows, &mut acts.delta)?;
        launcher.add(&acts.middle, &acts.delta, rows, hidden, &mut acts.input)
    }
}
