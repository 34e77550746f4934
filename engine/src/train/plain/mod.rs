//! Forward and backward once more, in f64 and by the plain formulas: what the kernels are held against, and what shows that
//! cuts into micro-batches change nothing but the order of sums. Shares with them only the packing of rows.

mod layer;
mod parts;
mod tests;

use std::sync::Arc;

use super::pack::{Packed, Target};
use super::{TokenGrad, TrainSequence};
use crate::config::ModelConfig;
use crate::params::{ParamLayout, Params};
use layer::Layer;
use parts::{project, project_backward, rms_norm, rms_norm_backward};

/// Values of all parameters of a layout, or their gradients.
#[derive(Debug, Clone)]
pub(super) struct Wide {
    layout: Arc<ParamLayout>,
    pub(super) values: Vec<f64>,
}

impl Wide {
    pub(super) fn of(params: &Params) -> Self {
        Self {
            layout: params.layout.clone(),
            values: params.values.iter().map(|value| f64::from(*value)).collect(),
        }
    }

    fn zeros(layout: &Arc<ParamLayout>) -> Self {
        Self {
            layout: layout.clone(),
            values: vec![0.0; layout.len],
        }
    }

    fn get(&self, name: &str) -> &[f64] {
        let entry = self.layout.find(name).expect("a tensor of the model");
        &self.values[entry.offset..][..entry.len()]
    }

    fn get_mut(&mut self, name: &str) -> &mut [f64] {
        let entry = self.layout.find(name).expect("a tensor of the model");
        &mut self.values[entry.offset..][..entry.len()]
    }

    /// ‖self - other‖ / ‖other‖.
    pub(super) fn distance(&self, other: &Self) -> f64 {
        let difference: f64 = self
            .values
            .iter()
            .zip(&other.values)
            .map(|(a, b)| (a - b).powi(2))
            .sum();
        let norm: f64 = other.values.iter().map(|b| b * b).sum();
        (difference / norm).sqrt()
    }
}

/// Derivatives of the loss by logprob and entropy of each scored token.
pub(super) type Coefficients = Vec<Vec<[f64; 2]>>;

pub(super) fn widened(coefficients: &[Vec<TokenGrad>]) -> Coefficients {
    let pair = |grad: &TokenGrad| [f64::from(grad.dlogprob), f64::from(grad.dentropy)];
    let row = |row: &Vec<TokenGrad>| row.iter().map(pair).collect();
    coefficients.iter().map(row).collect()
}

/// Σ dlogprob·logp + dentropy·H of one micro-batch, and its gradient.
pub(super) fn accumulate(
    config: &ModelConfig,
    params: &Wide,
    sequences: &[TrainSequence],
    coefficients: &[Vec<[f64; 2]>],
) -> (f64, Wide) {
    let packed = Packed::new(sequences, config.vocab_size).expect("valid sequences");
    let mut grads = Wide::zeros(&params.layout);
    let width = config.hidden_size;
    let embedding = params.get("model.embed_tokens.weight");
    let rows = packed.tokens.iter();
    let mut stream: Vec<f64> = rows
        .flat_map(|token| &embedding[*token as usize * width..][..width])
        .copied()
        .collect();
    let mut layers = Vec::new();
    for index in 0..config.layers {
        let (layer, out) = Layer::forward(config, params, &packed, index, stream);
        layers.push(layer);
        stream = out;
    }
    let mut d = vec![0.0; stream.len()];
    let mut total = 0.0;
    for (target, pair) in packed.targets.iter().zip(coefficients.concat()) {
        let at = target.row * width..(target.row + 1) * width;
        total += head(
            config,
            params,
            *target,
            (&stream[at.clone()], &mut d[at]),
            pair,
            &mut grads,
        );
    }
    for layer in layers.iter().rev() {
        d = layer.backward(config, params, &packed, d, &mut grads);
    }
    let embedding = grads.get_mut("model.embed_tokens.weight");
    for (token, d) in packed.tokens.iter().zip(d.chunks_exact(width)) {
        let row = &mut embedding[*token as usize * width..][..width];
        row.iter_mut().zip(d).for_each(|(sum, d)| *sum += d);
    }
    (total, grads)
}

/// One scored token: adds to the gradient of its row, returns its part of the sum.
fn head(
    config: &ModelConfig,
    params: &Wide,
    target: Target,
    (row, d_row): (&[f64], &mut [f64]),
    [dlogprob, dentropy]: [f64; 2],
    grads: &mut Wide,
) -> f64 {
    let name = if config.tie_word_embeddings {
        "model.embed_tokens.weight"
    } else {
        "lm_head.weight"
    };
    let (weight, norm, eps) = (
        params.get(name),
        params.get("model.norm.weight"),
        f64::from(config.rms_norm_eps),
    );
    let temperature = f64::from(target.temperature);
    let normed = rms_norm(row, norm, eps);
    let mut z = project(&normed, weight, config.vocab_size);
    z.iter_mut().for_each(|z| *z /= temperature);
    let most = z.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let normalizer = most + z.iter().map(|z| (z - most).exp()).sum::<f64>().ln();
    let log_p: Vec<f64> = z.iter().map(|z| z - normalizer).collect();
    let entropy: f64 = log_p.iter().map(|log_p| -log_p.exp() * log_p).sum();
    let token = target.token as usize;
    let by_logit = |(index, log_p): (usize, &f64)| {
        let own = if index == token { dlogprob } else { 0.0 };
        (own - log_p.exp() * (dlogprob + dentropy * (log_p + entropy))) / temperature
    };
    let dz: Vec<f64> = log_p.iter().enumerate().map(by_logit).collect();
    let d_normed = project_backward(1, &dz, &normed, weight, grads.get_mut(name));
    let d = rms_norm_backward(&d_normed, row, norm, eps, grads.get_mut("model.norm.weight"));
    d_row.iter_mut().zip(d).for_each(|(sum, d)| *sum += d);
    dlogprob * log_p[token] + dentropy * entropy
}
