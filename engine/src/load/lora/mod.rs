//! LoRA adapters as PEFT writes them: read, checked against the base, and merged into a copy of its parameters.

mod config;
mod factors;
mod shape;

use super::{AllowedFolder, LoadError};
use crate::params::{ParamLayout, Params};

pub use shape::{LoraShape, Target};

/// Low-rank changes of some matrices of a model.
///
/// # Source
/// Hu et al. 2021, LoRA, <https://arxiv.org/abs/2106.09685>; rsLoRA's scale: Kalajdzievski 2023, <https://arxiv.org/abs/2312.03732>.
#[derive(Debug, Clone, PartialEq)]
pub struct Lora {
    /// The changes, in the order of the model's layout.
    pub factors: Vec<Factors>,
}

/// `scale · B · A`, the change of one matrix `[out, in]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Factors {
    /// The matrix as the layout calls it, e.g. `model.layers.0.self_attn.q_proj.weight`.
    pub name: String,
    /// Rows of A and columns of B.
    pub rank: usize,
    /// `alpha / rank`, or `alpha / √rank` under rsLoRA.
    pub scale: f32,
    /// `[rank, in]`.
    pub a: Vec<f32>,
    /// `[out, rank]`.
    pub b: Vec<f32>,
}

impl Lora {
    /// Reads `adapter_config.json` and `adapter_model.safetensors` of an adapter for a model of this layout.
    ///
    /// # Errors
    /// [`LoadError`] naming the file and the field or tensor that is wrong or not supported.
    pub fn load(folder: &AllowedFolder, layout: &ParamLayout) -> Result<Self, LoadError> {
        let config = config::read(folder)?;
        let factors = factors::read(folder, &config, layout)?;
        Ok(Self { factors })
    }

    /// The parameters `base` with the changes added, in f32: first B·A in ascending order of the rank, then the scale.
    ///
    /// # Errors
    /// [`LoadError::Tensor`] if `base` has another layout or a sum is not finite.
    pub fn merge(&self, base: &Params) -> Result<Params, LoadError> {
        let mut merged = base.clone();
        for factors in &self.factors {
            let target = merged.get_mut(&factors.name);
            let target =
                target.filter(|target| factors.a.len() * factors.b.len() == target.len() * factors.rank.pow(2));
            let target =
                target.ok_or_else(|| LoadError::tensor(&factors.name, "the adapter was read for another model"))?;
            add_product(target, (&factors.a, &factors.b), factors.rank, factors.scale);
            if let Some(at) = target.iter().position(|value| !value.is_finite()) {
                let reason = format!("element {at} is {} after the adapter was added", target[at]);
                return Err(LoadError::tensor(&factors.name, reason));
            }
        }
        Ok(merged)
    }
}

/// `target += scale · B · A`: first B·A in ascending order of the rank, then the scale, all in f32. `target` is
/// `[out, in]`, A `[rank, in]`, B `[out, rank]`.
///
/// # Panics
/// If `rank` is 0 or A is empty.
pub fn add_product(target: &mut [f32], (a, b): (&[f32], &[f32]), rank: usize, scale: f32) {
    let width = a.len() / rank;
    let mut change = vec![0.0f32; width];
    for (row, weights) in target.chunks_exact_mut(width).zip(b.chunks_exact(rank)) {
        change.fill(0.0);
        for (weight, a) in weights.iter().zip(a.chunks_exact(width)) {
            change.iter_mut().zip(a).for_each(|(sum, a)| *sum += weight * a);
        }
        row.iter_mut()
            .zip(&change)
            .for_each(|(value, change)| *value += scale * change);
    }
}
