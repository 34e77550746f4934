//! Weights as the backward reads them: transposed, one layer's matrix at a time, because all of them transposed are a second
//! model.

use std::sync::{Arc, OnceLock};

use crate::config::Precision;
use crate::ops::gemm::Panels;
use crate::ops::par::Par;
use crate::params::Params;
use crate::weights::{LayerTensors, WeightSet, tensor};

/// The weights of a version prepared for forward and backward.
#[derive(Debug)]
pub struct TrainWeights<'a> {
    /// The serving weights the forward uses.
    pub set: Arc<WeightSet>,
    masters: &'a Params,
    /// The output projection's panels, packed when first asked for: every micro-batch reads all of them.
    head: OnceLock<Panels>,
}

impl<'a> TrainWeights<'a> {
    /// Prepares `set` for the backward; `masters` are the parameters it was packed from. The backward goes through
    /// the matrices as they were rounded; its gradients are those of the masters (straight through the rounding).
    #[must_use]
    pub fn new(set: Arc<WeightSet>, masters: &'a Params) -> Self {
        let head = OnceLock::new();
        Self { set, masters, head }
    }

    /// Panels of the projections of a layer whose outputs lie side by side, for `dX = dY · W`; `inputs` is the width of X.
    pub(super) fn transpose(&self, par: Par, layer: usize, projections: &[&str], inputs: usize, panels: &mut Panels) {
        let tensors = LayerTensors::new(self.masters, layer);
        let parts: Vec<&[f32]> = projections.iter().map(|name| tensors.get(name)).collect();
        panels.refill_parts(par, &parts, inputs, self.rounds());
    }

    /// The output projection's panels.
    pub(super) fn head(&self, par: Par) -> &Panels {
        self.head.get_or_init(|| {
            let config = &self.set.config;
            let name = if config.tie_word_embeddings {
                "model.embed_tokens.weight"
            } else {
                "lm_head.weight"
            };
            let mut panels = Panels::default();
            panels.refill_parts(par, &[tensor(self.masters, name)], config.hidden_size, self.rounds());
            panels
        })
    }

    fn rounds(&self) -> bool {
        self.set.storage.weights == Precision::Bf16
    }
}
