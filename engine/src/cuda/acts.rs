//! Buffers of a step on the device, kept from step to step.

use cudarc::driver::CudaSlice;

use super::driver::Stream;
use crate::config::ModelConfig;
use crate::device::DeviceError;

/// Values inside a layer, `[rows, …]` f32 each; named as in `model::layer`.
#[derive(Debug)]
pub(super) struct Activations {
    pub(super) input: CudaSlice<f32>,
    pub(super) normed: CudaSlice<f32>,
    pub(super) qkv: CudaSlice<f32>,
    pub(super) attention: CudaSlice<f32>,
    pub(super) delta: CudaSlice<f32>,
    pub(super) middle: CudaSlice<f32>,
    pub(super) gate_up: CudaSlice<f32>,
    pub(super) gated: CudaSlice<f32>,
    pub(super) logits: CudaSlice<f32>,
}

impl Activations {
    /// Room for nothing.
    pub(super) fn new(stream: &Stream) -> Result<Self, DeviceError> {
        let empty = || stream.zeros(1);
        Ok(Self {
            input: empty()?,
            normed: empty()?,
            qkv: empty()?,
            attention: empty()?,
            delta: empty()?,
            middle: empty()?,
            gate_up: empty()?,
            gated: empty()?,
            logits: empty()?,
        })
    }

    /// Makes room for `rows` rows, of which `wanted` want logits.
    pub(super) fn grow(
        &mut self,
        stream: &Stream,
        config: &ModelConfig,
        rows: usize,
        wanted: usize,
    ) -> Result<(), DeviceError> {
        let shape = config.attention_shape();
        let (hidden, inner) = (config.hidden_size, config.intermediate_size);
        // One row may be wanted several times.
        let most = rows.max(wanted);
        for (slice, len) in [
            (&mut self.input, rows * hidden),
            (&mut self.normed, most * hidden),
            (&mut self.qkv, rows * shape.qkv()),
            (&mut self.attention, rows * shape.q()),
            (&mut self.delta, rows * hidden),
            (&mut self.middle, most * hidden),
            (&mut self.gate_up, rows * 2 * inner),
            (&mut self.gated, rows * inner),
            (&mut self.logits, wanted * config.vocab_size),
        ] {
            stream.grow(slice, len)?;
        }
        Ok(())
    }
}
