//! The seam between an engine and the device that computes its steps: a KV cache and a forward over it.

use std::sync::Arc;

#[cfg(feature = "cuda")]
use super::forward::check;
use super::{KvCache, Scratch, StepBatch, forward};
#[cfg(feature = "cuda")]
use crate::cuda;
use crate::device::{CudaMode, Device, DeviceError};
use crate::weights::WeightSet;

/// A decoder on one device with its KV cache and buffers.
#[derive(Debug)]
pub struct Executor {
    backend: Backend,
}

#[derive(Debug)]
enum Backend {
    Cpu {
        cache: KvCache,
        scratch: Box<Scratch>,
    },
    #[cfg(feature = "cuda")]
    Exact(Box<cuda::Exact>),
    #[cfg(feature = "cuda-fast")]
    Fast(Box<cuda::Fast>),
}

impl Executor {
    /// An executor of models like `weights` on `device` with `blocks` KV blocks.
    ///
    /// # Errors
    /// A [`DeviceError`] that says what the device or this binary lacks; never on the CPU.
    pub fn new(device: Device, mode: CudaMode, weights: &WeightSet, blocks: usize) -> Result<Self, DeviceError> {
        let backend = match device {
            Device::Cpu => Backend::Cpu {
                cache: KvCache::new(&weights.config, weights.storage.kv, blocks),
                scratch: Box::default(),
            },
            Device::Cuda(ordinal) => Self::cuda(ordinal, mode, weights, blocks)?,
        };
        Ok(Self { backend })
    }

    #[cfg(feature = "cuda")]
    fn cuda(ordinal: usize, mode: CudaMode, weights: &WeightSet, blocks: usize) -> Result<Backend, DeviceError> {
        match mode {
            CudaMode::Exact => cuda::Exact::new(ordinal, weights, blocks).map(|exact| Backend::Exact(Box::new(exact))),
            #[cfg(feature = "cuda-fast")]
            CudaMode::Fast => cuda::Fast::new(ordinal, weights, blocks).map(|fast| Backend::Fast(Box::new(fast))),
            #[cfg(not(feature = "cuda-fast"))]
            CudaMode::Fast => Err(DeviceError::NotBuilt {
                lacks: "the CUDA mode `fast`",
                feature: "cuda-fast",
            }),
        }
    }

    #[cfg(not(feature = "cuda"))]
    fn cuda(_ordinal: usize, mode: CudaMode, _weights: &WeightSet, _blocks: usize) -> Result<Backend, DeviceError> {
        Err(DeviceError::NotBuilt {
            lacks: "CUDA",
            feature: match mode {
                CudaMode::Exact => "cuda",
                CudaMode::Fast => "cuda-fast",
            },
        })
    }

    /// Copies the first `tokens` positions of block `from` to block `to` in every layer (copy on write). What the other
    /// positions of `to` hold afterwards is undefined.
    ///
    /// # Errors
    /// [`DeviceError::Failed`].
    ///
    /// # Panics
    /// If a block is out of range or `tokens` exceeds a block.
    pub fn copy_block(&mut self, from: u32, to: u32, tokens: usize) -> Result<(), DeviceError> {
        match &mut self.backend {
            Backend::Cpu { cache, .. } => cache.copy_block(from, to, tokens),
            #[cfg(feature = "cuda")]
            Backend::Exact(exact) => exact.copy_block(from, to)?,
            #[cfg(feature = "cuda-fast")]
            Backend::Fast(fast) => fast.copy_block(from, to)?,
        }
        Ok(())
    }

    /// Runs the decoder over `batch`: writes keys and values of every row and the logits of `batch.logit_rows` into
    /// `logits`, resized to `[logit_rows, vocab]` f32. See [`forward`].
    ///
    /// # Errors
    /// [`DeviceError::Failed`].
    ///
    /// # Panics
    /// As [`forward`].
    pub fn forward(
        &mut self,
        weights: &Arc<WeightSet>,
        batch: &StepBatch<'_>,
        logits: &mut Vec<f32>,
    ) -> Result<(), DeviceError> {
        match &mut self.backend {
            Backend::Cpu { cache, scratch } => forward(weights, cache, batch, scratch, logits),
            #[cfg(feature = "cuda")]
            Backend::Exact(exact) => {
                check_for_device(weights, batch, exact.blocks());
                on_device(weights, batch, logits, |batch, logits| {
                    exact.forward(weights, batch, logits)
                })?;
            }
            #[cfg(feature = "cuda-fast")]
            Backend::Fast(fast) => {
                check_for_device(weights, batch, fast.blocks());
                on_device(weights, batch, logits, |batch, logits| {
                    fast.forward(weights, batch, logits)
                })?;
            }
        }
        Ok(())
    }

    /// The states of the last [`Self::forward`] under `weights`: of the rows that it made logits of, then of
    /// `state_rows`, `rows` in all. `states` becomes `[rows, hidden]` f32, after the final norm.
    ///
    /// # Errors
    /// [`DeviceError::Failed`].
    ///
    /// # Panics
    /// If the last forward had another number of such rows.
    pub fn states(&mut self, weights: &WeightSet, rows: usize, states: &mut Vec<f32>) -> Result<(), DeviceError> {
        match &mut self.backend {
            Backend::Cpu { scratch, .. } => scratch.states(weights, rows, states),
            #[cfg(feature = "cuda")]
            Backend::Exact(exact) => exact.states(rows * weights.config.hidden_size, states)?,
            #[cfg(feature = "cuda-fast")]
            Backend::Fast(fast) => *states = fast.states(rows * weights.config.hidden_size)?,
        }
        Ok(())
    }
}

/// A forward on a device, which makes logits of every state: those that nobody wants are dropped here.
#[cfg(feature = "cuda")]
fn on_device(
    weights: &WeightSet,
    batch: &StepBatch<'_>,
    logits: &mut Vec<f32>,
    forward: impl FnOnce(&StepBatch<'_>, &mut Vec<f32>) -> Result<(), DeviceError>,
) -> Result<(), DeviceError> {
    if batch.state_rows.is_empty() {
        return forward(batch, logits);
    }
    let rows = [batch.logit_rows, batch.state_rows].concat();
    let all = StepBatch {
        logit_rows: &rows,
        state_rows: &[],
        ..batch.clone()
    };
    forward(&all, logits)?;
    logits.truncate(batch.logit_rows.len() * weights.config.vocab_size);
    Ok(())
}

/// What the CPU's slices find as they are read must be found before a kernel reads its memory.
#[cfg(feature = "cuda")]
fn check_for_device(weights: &WeightSet, batch: &StepBatch<'_>, blocks: usize) {
    check(batch, blocks);
    let vocab = weights.config.vocab_size;
    assert!(
        batch.tokens.iter().all(|token| (*token as usize) < vocab),
        "token out of range"
    );
}
