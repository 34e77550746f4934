//! Weights laid out for the backward: transposed panels beside the serving weights.

use std::sync::Arc;

use crate::config::Precision;
use crate::ops::gemm::Panels;
use crate::params::Params;
use crate::weights::{LayerTensors, WeightSet, tensor};

/// The weights of a version prepared for forward and backward (adds transposed panels).
#[derive(Debug)]
pub struct TrainWeights {
    /// The serving weights the forward uses.
    pub set: Arc<WeightSet>,
    pub(super) layers: Vec<LayerTransposed>,
    pub(super) head: Panels,
}

/// Transposed projections of one layer, for `dX = dY · W`.
#[derive(Debug)]
pub(super) struct LayerTransposed {
    pub(super) qkv: Panels,
    pub(super) o: Panels,
    pub(super) gate_up: Panels,
    pub(super) down: Panels,
}

impl TrainWeights {
    /// Prepares `set` for the backward; `params` are the master parameters it was packed from. The backward goes through
    /// the matrices as they were rounded; its gradients are those of the masters (straight through the rounding).
    ///
    /// # Panics
    /// If the layout of `params` is not that of the set's config.
    #[must_use]
    pub fn prepare(set: Arc<WeightSet>, params: &Params) -> Self {
        let config = &set.config;
        let rows = |parts: &[&[f32]], n| match set.storage.weights {
            Precision::F32 => Panels::from_rows(parts, n),
            Precision::Bf16 => Panels::from_rows(parts, n).rounded(),
        };
        let (hidden, inner, q) = (
            config.hidden_size,
            config.intermediate_size,
            config.heads * config.head_dim,
        );
        let layer = |index| {
            let tensors = LayerTensors::new(params, index);
            let qkv = ["q", "k", "v"].map(|p| tensors.get(&format!("self_attn.{p}_proj.weight")));
            let gate_up = ["gate", "up"].map(|p| tensors.get(&format!("mlp.{p}_proj.weight")));
            LayerTransposed {
                qkv: rows(&qkv, hidden),
                o: rows(&[tensors.get("self_attn.o_proj.weight")], q),
                gate_up: rows(&gate_up, hidden),
                down: rows(&[tensors.get("mlp.down_proj.weight")], inner),
            }
        };
        let head = if config.tie_word_embeddings {
            "model.embed_tokens.weight"
        } else {
            "lm_head.weight"
        };
        let layers = (0..config.layers).map(layer).collect();
        let head = rows(&[tensor(params, head)], hidden);
        Self { layers, head, set }
    }
}
