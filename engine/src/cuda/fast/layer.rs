//! One layer's passes over a step's rows.

use std::marker::PhantomData;

use candle_core::{D, Result, Tensor};
use candle_nn::ops::rms_norm;
use candle_nn::rotary_emb::rope_thd;

use super::Kernels;
use super::rows::{Cache, Rows};
use super::weights::FastLayer;
use crate::config::ModelConfig;

/// A layer with what its passes read.
pub(super) struct Layer<'a, K> {
    config: &'a ModelConfig,
    weights: &'a FastLayer,
    cache: &'a Cache,
    rows: &'a Rows,
    kernels: PhantomData<K>,
}

impl<'a, K: Kernels> Layer<'a, K> {
    pub(super) fn new(config: &'a ModelConfig, weights: &'a FastLayer, cache: &'a Cache, rows: &'a Rows) -> Self {
        Self {
            config,
            weights,
            cache,
            rows,
            kernels: PhantomData,
        }
    }

    /// Attention and its residual, `[rows, hidden]` f32 to the same.
    pub(super) fn attend(&self, x: &Tensor) -> Result<Tensor> {
        let (layer, eps) = (self.weights, self.config.rms_norm_eps);
        let shape = self.config.attention_shape();
        let dtype = layer.qkv.dtype();
        let normed = rms_norm(x, &layer.input_norm, eps)?.to_dtype(dtype)?;
        let mut qkv = K::linear(&normed, &layer.qkv)?;
        if let Some(bias) = &layer.qkv_bias {
            qkv = qkv.broadcast_add(bias)?;
        }
        let count = x.dim(0)?;
        // `[1, rows, heads, head_dim]`, as the rotation takes it.
        let heads = |first: usize, heads: usize| {
            let columns = qkv.narrow(D::Minus1, first, heads * shape.head_dim)?.contiguous()?;
            columns.reshape((1, count, heads, shape.head_dim))
        };
        let (mut q, mut k) = (heads(0, shape.heads)?, heads(shape.q(), shape.kv_heads)?);
        let v = heads(shape.q() + shape.kv_heads * shape.head_dim, shape.kv_heads)?;
        if let Some([q_norm, k_norm]) = &layer.head_norms {
            q = rms_norm(&q, q_norm, eps)?;
            k = rms_norm(&k, k_norm, eps)?;
        }
        let turned = |x: &Tensor| rope_thd(x, &self.rows.cos, &self.rows.sin)?.squeeze(0)?.to_dtype(dtype);
        K::write(self.rows, &turned(&k)?, &v.squeeze(0)?.to_dtype(dtype)?, self.cache)?;
        let attended = K::attend(self.rows, &turned(&q)?, self.cache, shape.scale())?;
        x + K::linear(&attended.reshape((count, shape.q()))?, &layer.o)?
    }

    /// The gated MLP and its residual.
    pub(super) fn mix(&self, x: &Tensor) -> Result<Tensor> {
        let (layer, inner) = (self.weights, self.config.intermediate_size);
        let dtype = layer.gate_up.dtype();
        let normed = rms_norm(x, &layer.post_norm, self.config.rms_norm_eps)?.to_dtype(dtype)?;
        let gate_up = K::linear(&normed, &layer.gate_up)?;
        let gate = gate_up.narrow(D::Minus1, 0, inner)?.silu()?;
        let gated = (gate * gate_up.narrow(D::Minus1, inner, inner)?)?.to_dtype(dtype)?;
        x + K::linear(&gated, &layer.down)?
    }
}
