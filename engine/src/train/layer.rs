//! Backward of one decoder layer, from the gradient of its output to that of its input.
#![allow(unsafe_code)]

use super::weights::TrainWeights;
use crate::kv::BLOCK_TOKENS;
use crate::model::{Activations, LayerRows, keys_and_values};
use crate::ops::attention::{AttentionShape, Kv, Saved, Shared, attention_backward};
use crate::ops::buffer::size;
use crate::ops::elementwise::{add_assign, bias_backward, swiglu, swiglu_backward};
use crate::ops::gemm::{Panels, View, gemm};
use crate::ops::norm::{rms_norm, rms_norm_backward, rms_norm_heads_backward};
use crate::ops::par::Par;
use crate::ops::rope::rope;
use crate::params::Params;

/// Buffers reused from layer to layer.
#[derive(Debug, Default)]
pub(super) struct Buffers {
    normed: Vec<f32>,
    wide: Vec<f32>,
    narrow: Vec<f32>,
    dx: Vec<f32>,
    inverse: Vec<f32>,
    packed: Panels,
    transposed: Panels,
}

/// Rows of a layer of which some sequences share their first ones.
#[derive(Clone, Copy)]
pub(super) struct Tree<'a> {
    pub(super) rows: LayerRows<'a>,
    /// First row of the sequence whose rows each sequence shares up to its start.
    pub(super) trunks: &'a [usize],
}

/// Gradients of one layer's tensors.
pub(super) struct LayerGrads<'a> {
    pub(super) grads: &'a mut Params,
    pub(super) layer: usize,
}

impl LayerGrads<'_> {
    fn get(&mut self, suffix: &str) -> &mut [f32] {
        let name = format!("model.layers.{}.{suffix}", self.layer);
        self.grads
            .get_mut(&name)
            .expect("gradients have the layout of the parameters")
    }

    /// Adds dYᵀ · X to the gradient of each projection, whose outputs lie side by side in rows of `dy`.
    fn project(&mut self, par: Par, projections: &[(&str, usize)], dy: &[f32], x: &Panels) {
        let width = projections.iter().map(|(_, outputs)| outputs).sum();
        let mut first = 0;
        for (name, outputs) in projections {
            gemm(par, *outputs, View::columns(dy, width, first), x, self.get(name), true);
            first += outputs;
        }
    }
}

/// Turns `d` (`[rows, hidden]`, gradient of the layer's output) into the gradient of its input and adds to `grads`.
/// `kv` has two layers, which are overwritten.
///
/// # Safety
/// Nobody else touches `kv` meanwhile.
pub(super) unsafe fn layer_backward(
    par: Par,
    weights: &TrainWeights<'_>,
    Tree { rows, trunks }: Tree<'_>,
    kv: &Kv<'_>,
    acts: &mut Activations,
    buffers: &mut Buffers,
    d: &mut [f32],
    mut grads: LayerGrads<'_>,
) {
    mlp_backward(par, weights, rows, acts, buffers, d, &mut grads);
    let layer = &weights.set.layers[grads.layer];
    let config = rows.config;
    let (count, hidden) = (rows.positions.len(), config.hidden_size);
    let shape = config.attention_shape();
    let b = buffers;
    // Output projection.
    size(&mut b.wide, count * shape.q());
    weights.transpose(
        par,
        grads.layer,
        &["self_attn.o_proj.weight"],
        shape.q(),
        &mut b.transposed,
    );
    gemm(par, count, View::rows(d, hidden), &b.transposed, &mut b.wide, false);
    b.packed.refill(par, &acts.attention, shape.q());
    grads.project(par, &[("self_attn.o_proj.weight", hidden)], d, &b.packed);
    // Attention, rotation, head norms, bias.
    size(&mut b.narrow, count * shape.qkv());
    rewrite_kv(&shape, rows, kv, &acts.qkv);
    let saved = Saved {
        qkv: &acts.qkv,
        out: &acts.attention,
        kv,
    };
    let sequences = Shared {
        sequences: rows.sequences,
        trunks,
    };
    // SAFETY: passed on to the caller; our own writes are done.
    unsafe { attention_backward(par, &shape, &saved, sequences, &b.wide, &mut b.narrow) };
    let (q, kv_width) = (shape.q(), shape.kv_heads * shape.head_dim);
    rope(
        par,
        &mut b.narrow,
        shape.qkv(),
        q + kv_width,
        rows.positions,
        rows.rope,
        -1.0,
    );
    if let Some([q_norm, k_norm]) = &layer.head_norms {
        for (name, columns, weight) in [("q", 0..q, q_norm), ("k", q..q + kv_width, k_norm)] {
            let dw = grads.get(&format!("self_attn.{name}_norm.weight"));
            let (raw, eps) = (&acts.raw_qkv, config.rms_norm_eps);
            rms_norm_heads_backward(par, raw, &mut b.narrow, shape.qkv(), columns, weight, eps, dw);
        }
    }
    if layer.qkv_bias.is_some() {
        for (name, columns) in [("q", 0..q), ("k", q..q + kv_width), ("v", q + kv_width..shape.qkv())] {
            let db = grads.get(&format!("self_attn.{name}_proj.bias"));
            bias_backward(&b.narrow, shape.qkv(), columns, db);
        }
    }
    // Projections and norm.
    size(&mut b.normed, count * hidden);
    rms_norm(par, &acts.input, &layer.input_norm, config.rms_norm_eps, &mut b.normed);
    b.packed.refill(par, &b.normed, hidden);
    let projections = [
        ("self_attn.q_proj.weight", q),
        ("self_attn.k_proj.weight", kv_width),
        ("self_attn.v_proj.weight", kv_width),
    ];
    grads.project(par, &projections, &b.narrow, &b.packed);
    let names = projections.map(|(name, _)| name);
    weights.transpose(par, grads.layer, &names, hidden, &mut b.transposed);
    gemm(
        par,
        count,
        View::rows(&b.narrow, shape.qkv()),
        &b.transposed,
        &mut b.normed,
        false,
    );
    size(&mut b.dx, count * hidden);
    let (weight, eps) = (&layer.input_norm, config.rms_norm_eps);
    let dw = grads.get("input_layernorm.weight");
    rms_norm_backward(par, &acts.input, weight, eps, &b.normed, &mut b.dx, dw, &mut b.inverse);
    add_assign(par, d, &b.dx);
}

/// The MLP's part: adds its gradient to `d`, which then is the gradient of the residual stream after attention.
fn mlp_backward(
    par: Par,
    weights: &TrainWeights<'_>,
    rows: LayerRows<'_>,
    acts: &mut Activations,
    b: &mut Buffers,
    d: &mut [f32],
    grads: &mut LayerGrads<'_>,
) {
    let (config, layer) = (rows.config, &weights.set.layers[grads.layer]);
    let (count, hidden, inner) = (rows.positions.len(), config.hidden_size, config.intermediate_size);
    size(&mut b.wide, count * inner);
    swiglu(par, &acts.gate_up, inner, &mut b.wide);
    b.packed.refill(par, &b.wide, inner);
    grads.project(par, &[("mlp.down_proj.weight", hidden)], d, &b.packed);
    weights.transpose(par, grads.layer, &["mlp.down_proj.weight"], inner, &mut b.transposed);
    gemm(par, count, View::rows(d, hidden), &b.transposed, &mut b.wide, false);
    swiglu_backward(par, &mut acts.gate_up, inner, &b.wide);
    size(&mut b.normed, count * hidden);
    rms_norm(par, &acts.middle, &layer.post_norm, config.rms_norm_eps, &mut b.normed);
    b.packed.refill(par, &b.normed, hidden);
    let projections = [("mlp.gate_proj.weight", inner), ("mlp.up_proj.weight", inner)];
    grads.project(par, &projections, &acts.gate_up, &b.packed);
    let names = projections.map(|(name, _)| name);
    weights.transpose(par, grads.layer, &names, hidden, &mut b.transposed);
    gemm(
        par,
        count,
        View::rows(&acts.gate_up, 2 * inner),
        &b.transposed,
        &mut b.normed,
        false,
    );
    size(&mut b.dx, count * hidden);
    let (weight, eps) = (&layer.post_norm, config.rms_norm_eps);
    let dw = grads.get("post_attention_layernorm.weight");
    rms_norm_backward(par, &acts.middle, weight, eps, &b.normed, &mut b.dx, dw, &mut b.inverse);
    add_assign(par, d, &b.dx);
}

/// Writes keys and values to layer 0 of `kv`, and exchanged to layer 1, as the backward of attention reads them.
fn rewrite_kv(shape: &AttentionShape, rows: LayerRows<'_>, kv: &Kv<'_>, qkv: &[f32]) {
    let write = |row: usize, block: u32, slot: usize| {
        let (key, value) = keys_and_values(shape, qkv, row);
        // SAFETY: this thread alone uses the cache now.
        unsafe {
            kv.write(block, slot, 0, key, value);
            kv.write(block, slot, 1, value, key);
        }
    };
    for sequence in rows.sequences {
        for (position, row) in (sequence.start..).zip(sequence.rows.clone()) {
            let block = sequence.block_table[position / BLOCK_TOKENS];
            write(row, block, position % BLOCK_TOKENS);
        }
    }
    for copied in rows.copied {
        for (slot, row) in copied.rows.clone().enumerate() {
            write(row, copied.block, slot);
        }
    }
}
