//! One decoder layer over a batch of rows. Serving and training run exactly this.
#![allow(unsafe_code)]

use super::SequenceRows;
use crate::config::ModelConfig;
use crate::ops::attention::{AttentionShape, BLOCK_TOKENS, Kv, attention};
use crate::ops::elementwise::{add, add_bias, swiglu};
use crate::ops::norm::{rms_norm, rms_norm_heads};
use crate::ops::par::Par;
use crate::ops::rope::{RopeTable, rope};
use crate::weights::LayerWeights;

/// What a layer reads besides its weights and input.
#[derive(Clone, Copy)]
pub(crate) struct LayerRows<'a> {
    pub(crate) config: &'a ModelConfig,
    pub(crate) sequences: &'a [SequenceRows<'a>],
    pub(crate) positions: &'a [u32],
    pub(crate) rope: &'a RopeTable,
}

/// Values inside a layer that its backward needs, `[rows, …]` f32 each.
#[derive(Debug, Default)]
pub(crate) struct Activations {
    /// The residual stream on entry.
    pub(crate) input: Vec<f32>,
    /// Rows `[q | k | v]` before head norms; kept only if `keep_raw`.
    pub(crate) raw_qkv: Vec<f32>,
    /// Rows `[q | k | v]` as attention sees them.
    pub(crate) qkv: Vec<f32>,
    /// Output of attention.
    pub(crate) attention: Vec<f32>,
    /// The residual stream after attention.
    pub(crate) middle: Vec<f32>,
    /// Rows `[gate | up]`.
    pub(crate) gate_up: Vec<f32>,
    /// Whether to keep `raw_qkv`.
    pub(crate) keep_raw: bool,
}

/// Values that live only within a step of a layer.
#[derive(Debug, Default)]
pub(crate) struct Work {
    /// Output of a norm.
    pub(crate) normed: Vec<f32>,
    /// Output of SwiGLU.
    pub(crate) gated: Vec<f32>,
    /// What is about to be added to the residual stream.
    pub(crate) delta: Vec<f32>,
}

impl ModelConfig {
    /// Shape of the attention of each layer.
    pub(crate) fn attention_shape(&self) -> AttentionShape {
        AttentionShape {
            heads: self.heads,
            kv_heads: self.kv_heads,
            head_dim: self.head_dim,
            window: self.sliding_window,
        }
    }
}

/// Runs one layer: reads `acts.input`, fills the rest of `acts`, writes the residual stream to `out`, and writes keys
/// and values of every row to `kv_layer` of `kv`.
///
/// # Safety
/// Nobody else touches the blocks these rows write, or writes a block of these sequences' tables.
pub(crate) unsafe fn layer_forward(
    par: Par,
    weights: &LayerWeights,
    rows: LayerRows<'_>,
    kv: &Kv<'_>,
    kv_layer: usize,
    acts: &mut Activations,
    work: &mut Work,
    out: &mut Vec<f32>,
) {
    let config = rows.config;
    let (count, hidden) = (rows.positions.len(), config.hidden_size);
    work.delta.resize(count * hidden, 0.0);
    project_qkv(par, weights, rows, acts, work);
    write_kv(config, rows.sequences, kv, kv_layer, &acts.qkv);
    let shape = config.attention_shape();
    acts.attention.resize(count * shape.q(), 0.0);
    // SAFETY: passed on to the caller; our own writes are done.
    unsafe {
        attention(
            par,
            &shape,
            &acts.qkv,
            rows.sequences,
            kv,
            kv_layer,
            &mut acts.attention,
        )
    };
    weights.o.project(par, count, &acts.attention, &mut work.delta);
    acts.middle.resize(count * hidden, 0.0);
    add(par, &acts.input, &work.delta, &mut acts.middle);
    mlp_inputs(par, weights, config, &acts.middle, &mut acts.gate_up, work);
    weights.down.project(par, count, &work.gated, &mut work.delta);
    out.resize(count * hidden, 0.0);
    add(par, &acts.middle, &work.delta, out);
}

/// Norm, projections, head norms and rotation: `acts.input` to `acts.qkv`.
fn project_qkv(par: Par, weights: &LayerWeights, rows: LayerRows<'_>, acts: &mut Activations, work: &mut Work) {
    let config = rows.config;
    let shape = config.attention_shape();
    let (count, hidden, width, head) = (rows.positions.len(), config.hidden_size, shape.qkv(), shape.head_dim);
    work.normed.resize(count * hidden, 0.0);
    rms_norm(
        par,
        &acts.input,
        &weights.input_norm,
        config.rms_norm_eps,
        &mut work.normed,
    );
    acts.qkv.resize(count * width, 0.0);
    weights.qkv.project(par, count, &work.normed, &mut acts.qkv);
    if let Some(bias) = &weights.qkv_bias {
        add_bias(par, &mut acts.qkv, bias);
    }
    let (q, turned) = (shape.q(), shape.q() + shape.kv_heads * head);
    if let Some([q_norm, k_norm]) = &weights.head_norms {
        if acts.keep_raw {
            acts.raw_qkv.clone_from(&acts.qkv);
        }
        rms_norm_heads(par, &mut acts.qkv, width, 0..q, q_norm, config.rms_norm_eps);
        rms_norm_heads(par, &mut acts.qkv, width, q..turned, k_norm, config.rms_norm_eps);
    }
    rope(par, &mut acts.qkv, width, turned, rows.positions, rows.rope, 1.0);
}

/// Norm, gate, up and SwiGLU: the residual stream to `work.gated`.
pub(crate) fn mlp_inputs(
    par: Par,
    weights: &LayerWeights,
    config: &ModelConfig,
    middle: &[f32],
    gate_up: &mut Vec<f32>,
    work: &mut Work,
) {
    let (hidden, inner) = (config.hidden_size, config.intermediate_size);
    let count = middle.len() / hidden;
    work.normed.resize(count * hidden, 0.0);
    rms_norm(par, middle, &weights.post_norm, config.rms_norm_eps, &mut work.normed);
    gate_up.resize(count * 2 * inner, 0.0);
    weights.gate_up.project(par, count, &work.normed, gate_up);
    work.gated.resize(count * inner, 0.0);
    swiglu(par, gate_up, inner, &mut work.gated);
}

/// Writes the keys and values of all rows.
fn write_kv(config: &ModelConfig, sequences: &[SequenceRows<'_>], kv: &Kv<'_>, layer: usize, qkv: &[f32]) {
    let shape = config.attention_shape();
    let part = shape.kv_heads * shape.head_dim;
    for sequence in sequences {
        for (i, row) in sequence.rows.clone().enumerate() {
            let position = sequence.start + i;
            let block = sequence.block_table[position / BLOCK_TOKENS];
            let (key, value) = qkv[row * shape.qkv() + shape.q()..][..2 * part].split_at(part);
            // SAFETY: the caller of the layer owns these blocks.
            unsafe { kv.write(block, position % BLOCK_TOKENS, layer, key, value) };
        }
    }
}
