//! Serving weights of one version, packed for the kernels.

use crate::config::ModelConfig;
use crate::ops::elementwise::Embedding;
use crate::ops::gemm::Panels;
use crate::ops::rope::frequencies;
use crate::params::Params;

/// Serving weights of one version, packed for the kernels. Immutable; shared by `Arc`.
#[derive(Debug)]
pub struct WeightSet {
    /// Shape of the model.
    pub config: ModelConfig,
    /// Version, unique in a store; grows with each publish.
    pub version: u64,
    /// Human name, e.g. `base`, `step-12`.
    pub label: String,
    pub(crate) embedding: Embedding,
    pub(crate) layers: Vec<LayerWeights>,
    pub(crate) norm: Vec<f32>,
    pub(crate) head: Panels,
    pub(crate) frequencies: Vec<f32>,
}

/// Packed weights of one layer; projections that read the same input are one product.
#[derive(Debug)]
pub(crate) struct LayerWeights {
    pub(crate) input_norm: Vec<f32>,
    pub(crate) qkv: Panels,
    pub(crate) qkv_bias: Option<Vec<f32>>,
    pub(crate) head_norms: Option<[Vec<f32>; 2]>,
    pub(crate) o: Panels,
    pub(crate) post_norm: Vec<f32>,
    pub(crate) gate_up: Panels,
    pub(crate) down: Panels,
}

/// Master tensors of one layer by their short names.
pub(crate) struct LayerTensors<'a> {
    params: &'a Params,
    layer: usize,
}

impl<'a> LayerTensors<'a> {
    /// The tensors of `layer`.
    pub(crate) fn new(params: &'a Params, layer: usize) -> Self {
        Self { params, layer }
    }

    /// The tensor `model.layers.<layer>.<suffix>`.
    ///
    /// # Panics
    /// If the layout lacks it: layouts are made by `ParamLayout::of`.
    pub(crate) fn get(&self, suffix: &str) -> &'a [f32] {
        tensor(self.params, &format!("model.layers.{}.{suffix}", self.layer))
    }
}

/// A tensor by its full name.
///
/// # Panics
/// If the layout lacks it: layouts are made by `ParamLayout::of`.
pub(crate) fn tensor<'a>(params: &'a Params, name: &str) -> &'a [f32] {
    let Some(tensor) = params.get(name) else {
        panic!("the layout has no `{name}`: it was made for another config")
    };
    tensor
}

impl WeightSet {
    /// Packs master parameters (copied, so later optimizer steps do not show through).
    ///
    /// # Panics
    /// If the layout of `params` is not that of `config`.
    #[must_use]
    pub fn pack(config: &ModelConfig, params: &Params, version: u64, label: &str) -> Self {
        let embedding = tensor(params, "model.embed_tokens.weight");
        let head = if config.tie_word_embeddings {
            embedding
        } else {
            tensor(params, "lm_head.weight")
        };
        Self {
            config: config.clone(),
            version,
            label: label.into(),
            embedding: match config.tie_word_embeddings {
                true => Embedding::Tied,
                false => Embedding::Table(embedding.to_vec()),
            },
            layers: (0..config.layers)
                .map(|layer| LayerWeights::pack(config, params, layer))
                .collect(),
            norm: tensor(params, "model.norm.weight").to_vec(),
            head: Panels::from_weights(&[head], config.hidden_size),
            frequencies: frequencies(&config.rope, config.head_dim),
        }
    }

    /// Bytes the packed weights take.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let table = match &self.embedding {
            Embedding::Table(table) => table.len(),
            Embedding::Tied => 0,
        };
        let layers: usize = self.layers.iter().map(LayerWeights::elements).sum();
        (table + layers + self.norm.len() + self.head.values.len()) * size_of::<f32>()
    }
}

impl LayerWeights {
    fn pack(config: &ModelConfig, params: &Params, layer: usize) -> Self {
        let tensors = LayerTensors::new(params, layer);
        let get = |suffix: &str| tensors.get(suffix);
        let weights = ["q", "k", "v"].map(|p| get(&format!("self_attn.{p}_proj.weight")));
        let (hidden, q) = (config.hidden_size, config.heads * config.head_dim);
        Self {
            input_norm: get("input_layernorm.weight").to_vec(),
            qkv: Panels::from_weights(&weights, hidden),
            qkv_bias: config.qkv_bias.then(|| {
                ["q", "k", "v"]
                    .map(|p| get(&format!("self_attn.{p}_proj.bias")))
                    .concat()
            }),
            head_norms: config
                .qk_norm
                .then(|| ["q", "k"].map(|p| get(&format!("self_attn.{p}_norm.weight")).to_vec())),
            o: Panels::from_weights(&[get("self_attn.o_proj.weight")], q),
            post_norm: get("post_attention_layernorm.weight").to_vec(),
            gate_up: Panels::from_weights(&[get("mlp.gate_proj.weight"), get("mlp.up_proj.weight")], hidden),
            down: Panels::from_weights(&[get("mlp.down_proj.weight")], config.intermediate_size),
        }
    }

    fn elements(&self) -> usize {
        let panels = [&self.qkv, &self.o, &self.gate_up, &self.down];
        panels.iter().map(|p| p.values.len()).sum::<usize>() + self.input_norm.len() + self.post_norm.len()
    }
}
