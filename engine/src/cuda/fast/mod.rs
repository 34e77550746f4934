//! The decoder through candle's tensors, cuBLAS and mistral.rs's paged attention. Fast, and of no fixed order: cuBLAS
//! chooses how it splits a sum by the shape of the batch. What products and attention read has the precision of weights and
//! KV, everything between them is f32: with a residual in bf16 the logprobs of a small model are twice as far off.
//!
//! Every row is a sequence of its own to the attention kernel, with the blocks of its sequence up to its position, so that
//! decode, chunked prefill and any mix of both are one call.

mod layer;
mod libraries;
#[cfg(test)]
mod plain;
mod rows;
#[cfg(test)]
mod tests;
mod weights;

use std::marker::PhantomData;
use std::sync::{Arc, Weak};

use candle_core::{DType, Device, Tensor};
use candle_nn::ops::rms_norm;

use self::layer::Layer;
pub(crate) use self::libraries::Libraries;
use self::rows::{Cache, Rows, RowsMaker};
use self::weights::FastWeights;
use super::driver::Stream;
use crate::config::{ModelConfig, Precision};
use crate::device::DeviceError;
use crate::model::{KvCache, StepBatch};
use crate::weights::WeightSet;

/// Widths of heads that the attention kernels are built for.
const HEAD_DIMS: [usize; 8] = [64, 80, 96, 112, 128, 192, 256, 512];

/// The mode `fast` on a CUDA device.
pub(crate) type Fast = Decoder<Libraries>;

/// What candle's own tensors lack.
pub(crate) trait Kernels {
    /// `x · wᵀ` in f32, `[rows, k]` and `[n, k]`, both of one type, to `[rows, n]`.
    fn linear(x: &Tensor, w: &Tensor) -> candle_core::Result<Tensor>;

    /// Puts the keys and values of the rows, `[rows, kv_heads, head_dim]`, where the rows' slots say.
    fn write(rows: &Rows, keys: &Tensor, values: &Tensor, cache: &Cache) -> candle_core::Result<()>;

    /// Attention of the queries `[rows, heads, head_dim]` over the rows' contexts; the same shape.
    fn attend(rows: &Rows, queries: &Tensor, cache: &Cache, scale: f32) -> candle_core::Result<Tensor>;
}

/// A decoder with its KV cache on one of candle's devices.
#[derive(Debug)]
pub(crate) struct Decoder<K> {
    device: Device,
    dtype: DType,
    /// Of each layer.
    caches: Vec<Cache>,
    blocks: usize,
    /// Versions in use, by the sets they were copied from.
    held: Vec<(Weak<WeightSet>, FastWeights)>,
    rows: RowsMaker,
    /// What the last step made its logits from, `[logit_rows, hidden]` f32.
    normed: Option<Tensor>,
    kernels: PhantomData<K>,
}

/// Turns candle's error into ours.
fn failed(doing: &'static str) -> impl Fn(candle_core::Error) -> DeviceError {
    move |error| DeviceError::Failed {
        doing,
        reason: error.to_string(),
    }
}

/// Refuses by name what the kernels do not take.
fn check_fit(weights: &WeightSet) -> Result<(), DeviceError> {
    let (config, storage) = (&weights.config, weights.storage);
    let unfit = |field, value: String, takes| Err(DeviceError::Unfit { field, value, takes });
    if !HEAD_DIMS.contains(&config.head_dim) {
        let takes = "64, 80, 96, 112, 128, 192, 256 or 512";
        return unfit("head_dim", config.head_dim.to_string(), takes);
    }
    if let Some(window) = config.sliding_window {
        return unfit("sliding_window", window.to_string(), "none");
    }
    if storage.kv != storage.weights {
        return unfit("KV in", storage.kv.name().into(), "as the weights, best both in bf16");
    }
    Ok(())
}

impl Fast {
    /// A decoder of models like `weights` on CUDA device `ordinal` with `blocks` KV blocks.
    pub(crate) fn new(ordinal: usize, weights: &WeightSet, blocks: usize) -> Result<Self, DeviceError> {
        check_fit(weights)?;
        let free = Stream::open(ordinal)?.free_bytes()?;
        // A publish holds two versions for a while.
        let bytes = 2 * weights.bytes();
        let kv = blocks * KvCache::bytes_per_block(&weights.config, weights.storage.kv);
        if bytes + kv > free {
            return Err(DeviceError::Memory {
                weights: bytes,
                kv,
                free,
            });
        }
        let device = Device::new_cuda(ordinal).map_err(|error| DeviceError::Absent {
            ordinal,
            reason: format!("{error}; `fast` needs libcublas.so.13 and libcurand.so.10 in the library path"),
        })?;
        Self::on(device, weights, blocks)
    }
}

impl<K: Kernels> Decoder<K> {
    fn on(device: Device, weights: &WeightSet, blocks: usize) -> Result<Self, DeviceError> {
        let dtype = match weights.storage.weights {
            Precision::F32 => DType::F32,
            Precision::Bf16 => DType::BF16,
        };
        let caches = (0..weights.config.layers).map(|_| Cache::new(&weights.config, blocks, dtype, &device));
        Ok(Self {
            caches: caches
                .collect::<candle_core::Result<_>>()
                .map_err(failed("making the KV cache"))?,
            device,
            dtype,
            blocks,
            held: Vec::new(),
            rows: RowsMaker::default(),
            normed: None,
            kernels: PhantomData,
        })
    }

    /// Blocks of the cache.
    pub(crate) fn blocks(&self) -> usize {
        self.blocks
    }

    /// Copies block `from` to block `to`.
    pub(crate) fn copy_block(&mut self, from: u32, to: u32) -> Result<(), DeviceError> {
        assert!((from.max(to) as usize) < self.blocks, "block out of range");
        if from == to {
            return Ok(());
        }
        let copied = self.caches.iter().try_for_each(|cache| cache.copy(from, to));
        copied.map_err(failed("copying a block"))
    }

    /// The step; see `model::forward`. The batch has been checked.
    pub(crate) fn forward(
        &mut self,
        weights: &Arc<WeightSet>,
        batch: &StepBatch<'_>,
        logits: &mut Vec<f32>,
    ) -> Result<(), DeviceError> {
        let at = self.lease(weights)?;
        logits.clear();
        let computed = self.step(weights, at, batch).map_err(failed("running a step"))?;
        if let Some(computed) = computed {
            let computed = computed.flatten_all().and_then(|computed| computed.to_vec1());
            *logits = computed.map_err(failed("copying from the device"))?;
        }
        // What goes wrong in a step is reported by that step.
        self.device.synchronize().map_err(failed("running the kernels"))
    }

    /// Where `weights` are in `held`, copied to the device if they are not; frees those that nobody leases any more.
    fn lease(&mut self, weights: &Arc<WeightSet>) -> Result<usize, DeviceError> {
        let known = |(set, _): &(Weak<WeightSet>, FastWeights)| set.as_ptr() == Arc::as_ptr(weights);
        self.held.retain(|(set, _)| set.strong_count() > 0);
        if let Some(at) = self.held.iter().position(known) {
            return Ok(at);
        }
        let version = FastWeights::upload(weights, self.dtype, &self.device).map_err(failed("copying the weights"))?;
        self.held.push((Arc::downgrade(weights), version));
        Ok(self.held.len() - 1)
    }

    /// Logits `[logit_rows, vocab]` f32, if any are wanted.
    fn step(&mut self, weights: &WeightSet, at: usize, batch: &StepBatch<'_>) -> candle_core::Result<Option<Tensor>> {
        if batch.tokens.is_empty() {
            return Ok(None);
        }
        let config: &ModelConfig = &weights.config;
        let rows = self.rows.make(batch, &weights.frequencies, &self.device)?;
        let version = &self.held[at].1;
        let tokens = Tensor::new(batch.tokens, &self.device)?;
        let mut x = version.embedding.index_select(&tokens, 0)?.to_dtype(DType::F32)?;
        for (weights, cache) in version.layers.iter().zip(&self.caches) {
            let layer = Layer::<K>::new(config, weights, cache, &rows);
            x = layer.attend(&x)?;
            x = layer.mix(&x)?;
        }
        if batch.logit_rows.is_empty() {
            return Ok(None);
        }
        let wanted = Tensor::new(batch.logit_rows, &self.device)?;
        let normed = rms_norm(&x.index_select(&wanted, 0)?, &version.norm, config.rms_norm_eps)?;
        let logits = K::linear(&normed.to_dtype(self.dtype)?, &version.head)?;
        self.normed = Some(normed);
        Ok(Some(logits))
    }

    /// The final norm's output behind the logits of the last forward, `len` numbers.
    pub(crate) fn states(&self, len: usize) -> Result<Vec<f32>, DeviceError> {
        let Some(normed) = &self.normed else {
            return Ok(Vec::new());
        };
        let states = normed.flatten_all().and_then(|normed| normed.to_vec1());
        let states: Vec<f32> = states.map_err(failed("copying from the device"))?;
        assert_eq!(states.len(), len, "logit rows of the last forward");
        Ok(states)
    }
}
