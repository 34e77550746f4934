//! One decoder layer.

use super::Wide;
use super::parts::{dot, project, project_backward, rms_norm, rms_norm_backward, rotate, sigmoid};
use crate::config::ModelConfig;
use crate::train::pack::Packed;

/// Queries, keys and values.
const QKV: [&str; 3] = ["q", "k", "v"];

/// What the backward needs of a layer's forward; rows lie one after the other.
#[derive(Debug)]
pub(super) struct Layer {
    index: usize,
    input: Vec<f64>,
    normed: Vec<f64>,
    /// Before the norms of heads and the rotation.
    raw: [Vec<f64>; 3],
    qkv: [Vec<f64>; 3],
    attention: Vec<f64>,
    middle: Vec<f64>,
    middle_normed: Vec<f64>,
    gate: Vec<f64>,
    up: Vec<f64>,
    gated: Vec<f64>,
}

/// A row and the rows that it attends to.
struct Reach {
    row: usize,
    others: Vec<usize>,
}

fn reaches(packed: &Packed, window: Option<usize>) -> Vec<Reach> {
    let of_span = |span: &super::super::pack::Span| {
        let span = *span;
        (span.shared..span.len).map(move |position| {
            let first = window.map_or(0, |window| (position + 1).saturating_sub(window));
            Reach {
                row: span.row(position),
                others: (first..=position).map(|position| span.row(position)).collect(),
            }
        })
    };
    packed.spans.iter().flat_map(of_span).collect()
}

impl Layer {
    fn name(&self, suffix: &str) -> String {
        format!("model.layers.{}.{suffix}", self.index)
    }

    /// The layer's output, and what its backward needs.
    pub(super) fn forward(
        config: &ModelConfig,
        params: &Wide,
        packed: &Packed,
        index: usize,
        input: Vec<f64>,
    ) -> (Self, Vec<f64>) {
        let name = |suffix: &str| format!("model.layers.{index}.{suffix}");
        let (eps, hidden) = (f64::from(config.rms_norm_eps), config.hidden_size);
        let normed = rms_norm(&input, params.get(&name("input_layernorm.weight")), eps);
        let raw = QKV.map(|part| {
            let heads = if part == "q" { config.heads } else { config.kv_heads };
            let weight = params.get(&name(&format!("self_attn.{part}_proj.weight")));
            let mut out = project(&normed, weight, heads * config.head_dim);
            if config.qkv_bias {
                let bias = params.get(&name(&format!("self_attn.{part}_proj.bias")));
                out.iter_mut()
                    .zip(bias.iter().cycle())
                    .for_each(|(out, bias)| *out += bias);
            }
            out
        });
        let mut qkv = raw.clone();
        for (part, values) in QKV.iter().zip(&mut qkv).take(2) {
            if config.qk_norm {
                *values = rms_norm(values, params.get(&name(&format!("self_attn.{part}_norm.weight"))), eps);
            }
            turn(config, packed, values, 1.0);
        }
        let attention = attend(config, packed, &qkv);
        let projected = project(&attention, params.get(&name("self_attn.o_proj.weight")), hidden);
        let middle = sum(&input, &projected);
        let middle_normed = rms_norm(&middle, params.get(&name("post_attention_layernorm.weight")), eps);
        let inner = config.intermediate_size;
        let gate = project(&middle_normed, params.get(&name("mlp.gate_proj.weight")), inner);
        let up = project(&middle_normed, params.get(&name("mlp.up_proj.weight")), inner);
        let gated: Vec<f64> = gate
            .iter()
            .zip(&up)
            .map(|(gate, up)| gate * sigmoid(*gate) * up)
            .collect();
        let out = sum(
            &middle,
            &project(&gated, params.get(&name("mlp.down_proj.weight")), hidden),
        );
        let layer = Self {
            index,
            input,
            normed,
            raw,
            qkv,
            attention,
            middle,
            middle_normed,
            gate,
            up,
            gated,
        };
        (layer, out)
    }

    /// From the gradient of the output to that of the input; adds to `grads`.
    pub(super) fn backward(
        &self,
        config: &ModelConfig,
        params: &Wide,
        packed: &Packed,
        d: Vec<f64>,
        grads: &mut Wide,
    ) -> Vec<f64> {
        let (eps, rows) = (f64::from(config.rms_norm_eps), packed.positions.len());
        let mut back = |suffix: &str, dy: &[f64], x: &[f64]| {
            let name = self.name(suffix);
            project_backward(rows, dy, x, params.get(&name), grads.get_mut(&name))
        };
        let d_gated = back("mlp.down_proj.weight", &d, &self.gated);
        let (mut d_gate, mut d_up) = (Vec::new(), Vec::new());
        for ((d, gate), up) in d_gated.iter().zip(&self.gate).zip(&self.up) {
            let s = sigmoid(*gate);
            d_gate.push(d * up * s * (1.0 + gate * (1.0 - s)));
            d_up.push(d * gate * s);
        }
        let d_normed = sum(
            &back("mlp.gate_proj.weight", &d_gate, &self.middle_normed),
            &back("mlp.up_proj.weight", &d_up, &self.middle_normed),
        );
        let name = self.name("post_attention_layernorm.weight");
        let through = rms_norm_backward(&d_normed, &self.middle, params.get(&name), eps, grads.get_mut(&name));
        let d = sum(&d, &through);
        let name = self.name("self_attn.o_proj.weight");
        let d_attention = project_backward(rows, &d, &self.attention, params.get(&name), grads.get_mut(&name));
        let mut d_qkv = attend_backward(config, packed, &self.qkv, &d_attention);
        let mut d_normed = vec![0.0; self.normed.len()];
        for (at, part) in QKV.iter().enumerate() {
            let dy = &mut d_qkv[at];
            if at < 2 {
                turn(config, packed, dy, -1.0);
            }
            if at < 2 && config.qk_norm {
                let name = self.name(&format!("self_attn.{part}_norm.weight"));
                *dy = rms_norm_backward(dy, &self.raw[at], params.get(&name), eps, grads.get_mut(&name));
            }
            if config.qkv_bias {
                let bias = grads.get_mut(&self.name(&format!("self_attn.{part}_proj.bias")));
                let width = bias.len();
                dy.iter().enumerate().for_each(|(i, d)| bias[i % width] += d);
            }
            let name = self.name(&format!("self_attn.{part}_proj.weight"));
            let through = project_backward(rows, dy, &self.normed, params.get(&name), grads.get_mut(&name));
            d_normed = sum(&d_normed, &through);
        }
        let name = self.name("input_layernorm.weight");
        let through = rms_norm_backward(&d_normed, &self.input, params.get(&name), eps, grads.get_mut(&name));
        sum(&d, &through)
    }
}

fn sum(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| a + b).collect()
}

/// Rotates every head of every row.
fn turn(config: &ModelConfig, packed: &Packed, values: &mut [f64], sign: f64) {
    let theta = f64::from(config.rope.theta);
    let width = values.len() / packed.positions.len();
    for (row, position) in values.chunks_exact_mut(width).zip(&packed.positions) {
        row.chunks_exact_mut(config.head_dim)
            .for_each(|head| rotate(head, *position, theta, sign));
    }
}

/// Where the query head `head` of `row` and its keys and values lie.
struct Head {
    dim: usize,
    q: usize,
    kv: usize,
    head: usize,
    kv_head: usize,
}

impl Head {
    fn all(config: &ModelConfig) -> impl Iterator<Item = Self> + use<> {
        let (dim, heads, kv_heads) = (config.head_dim, config.heads, config.kv_heads);
        (0..heads).map(move |head| Self {
            dim,
            q: heads * dim,
            kv: kv_heads * dim,
            head,
            kv_head: head / (heads / kv_heads),
        })
    }

    fn query(&self, row: usize) -> std::ops::Range<usize> {
        let first = row * self.q + self.head * self.dim;
        first..first + self.dim
    }

    fn key(&self, row: usize) -> std::ops::Range<usize> {
        let first = row * self.kv + self.kv_head * self.dim;
        first..first + self.dim
    }

    /// Softmax over the rows that `reach` attends to.
    fn weights(&self, reach: &Reach, [q, k, _]: &[Vec<f64>; 3]) -> Vec<f64> {
        let query = &q[self.query(reach.row)];
        let scale = 1.0 / (self.dim as f64).sqrt();
        let scores: Vec<f64> = reach
            .others
            .iter()
            .map(|row| scale * dot(query, &k[self.key(*row)]))
            .collect();
        let most = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let total: f64 = scores.iter().map(|score| (score - most).exp()).sum();
        scores.iter().map(|score| (score - most).exp() / total).collect()
    }
}

fn attend(config: &ModelConfig, packed: &Packed, qkv: &[Vec<f64>; 3]) -> Vec<f64> {
    let mut out = vec![0.0; qkv[0].len()];
    for reach in reaches(packed, config.sliding_window) {
        for head in Head::all(config) {
            let weights = head.weights(&reach, qkv);
            for (weight, other) in weights.iter().zip(&reach.others) {
                let value = &qkv[2][head.key(*other)];
                out[head.query(reach.row)]
                    .iter_mut()
                    .zip(value)
                    .for_each(|(out, value)| *out += weight * value);
            }
        }
    }
    out
}

fn attend_backward(config: &ModelConfig, packed: &Packed, qkv: &[Vec<f64>; 3], d: &[f64]) -> [Vec<f64>; 3] {
    let mut grads = [0, 1, 2].map(|at: usize| vec![0.0; qkv[at].len()]);
    for reach in reaches(packed, config.sliding_window) {
        for head in Head::all(config) {
            let weights = head.weights(&reach, qkv);
            let scale = 1.0 / (head.dim as f64).sqrt();
            let d_out = &d[head.query(reach.row)];
            let d_weights: Vec<f64> = reach
                .others
                .iter()
                .map(|row| dot(d_out, &qkv[2][head.key(*row)]))
                .collect();
            let mean = dot(&weights, &d_weights);
            for ((weight, d_weight), other) in weights.iter().zip(&d_weights).zip(&reach.others) {
                let d_score = scale * weight * (d_weight - mean);
                for i in 0..head.dim {
                    let (q, k) = (head.query(reach.row).start + i, head.key(*other).start + i);
                    grads[2][k] += weight * d_out[i];
                    grads[0][q] += d_score * qkv[1][k];
                    grads[1][k] += d_score * qkv[0][q];
                }
            }
        }
    }
    grads
}
