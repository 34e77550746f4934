//! Serving weights of one version, packed for the kernels.

use crate::config::{ModelConfig, Precision, Storage};
use crate::ops::elementwise::Embedding;
use crate::ops::gemm::Matrix;
use crate::ops::rope::frequencies;
use crate::params::Params;

/// Serving weights of one version, packed for the kernels. Immutable; shared by `Arc`.
#[derive(Debug)]
pub struct WeightSet {
    /// Shape of the model.
    pub config: ModelConfig,
    /// Storage of the matrices, and of the keys and values computed under them.
    pub storage: Storage,
    /// Version, unique in a store; grows with each publish.
    pub version: u64,
    /// Human name, e.g. `base`, `step-12`.
    pub label: String,
    pub(crate) embedding: Embedding,
    pub(crate) layers: Vec<LayerWeights>,
    pub(crate) norm: Vec<f32>,
    pub(crate) head: Matrix,
    pub(crate) frequencies: Vec<f32>,
}

/// Packed weights of one layer; projections that read the same input are one product.
#[derive(Debug)]
pub(crate) struct LayerWeights {
    pub(crate) input_norm: Vec<f32>,
    pub(crate) qkv: Matrix,
    pub(crate) qkv_bias: Option<Vec<f32>>,
    pub(crate) head_norms: Option<[Vec<f32>; 2]>,
    pub(crate) o: Matrix,
    pub(crate) post_norm: Vec<f32>,
    pub(crate) gate_up: Matrix,
    pub(crate) down: Matrix,
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
    /// [`Self::pack_as`] in f32.
    #[must_use]
    pub fn pack(config: &ModelConfig, params: &Params, version: u64, label: &str) -> Self {
        Self::pack_as(Storage::default(), config, params, version, label)
    }

    /// Packs master parameters (copied, so later optimizer steps do not show through). In bf16 the matrices are rounded;
    /// norms, biases and an embedding of its own stay f32.
    ///
    /// # Panics
    /// If the layout of `params` is not that of `config`.
    #[must_use]
    pub fn pack_as(
        storage: impl Into<Storage>,
        config: &ModelConfig,
        params: &Params,
        version: u64,
        label: &str,
    ) -> Self {
        let storage = storage.into();
        let precision = storage.weights;
        let embedding = tensor(params, "model.embed_tokens.weight");
        let head = if config.tie_word_embeddings {
            embedding
        } else {
            tensor(params, "lm_head.weight")
        };
        Self {
            config: config.clone(),
            storage,
            version,
            label: label.into(),
            embedding: match config.tie_word_embeddings {
                true => Embedding::Tied,
                false => Embedding::Table(embedding.to_vec()),
            },
            layers: (0..config.layers)
                .map(|layer| LayerWeights::pack(precision, config, params, layer))
                .collect(),
            norm: tensor(params, "model.norm.weight").to_vec(),
            head: Matrix::pack(precision, &[head], config.hidden_size),
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
        let layers: usize = self.layers.iter().map(LayerWeights::bytes).sum();
        size_of::<f32>() * (table + self.norm.len()) + layers + self.head.bytes()
    }
}

/// Sets from so many bytes on are freed on a thread of their own.
const LARGE_BYTES: usize = 16 << 20;

impl Drop for WeightSet {
    /// The last lease often ends on the engine's thread, where giving half a gigabyte back to the system would hold up
    /// every stream for some 50 ms.
    fn drop(&mut self) {
        if self.bytes() < LARGE_BYTES {
            return;
        }
        let parts = (
            std::mem::take(&mut self.layers),
            std::mem::replace(&mut self.head, Matrix::empty()),
        );
        // Without a thread the closure, and with it the memory, is dropped here.
        let _ = std::thread::Builder::new()
            .name("svs-free".into())
            .spawn(move || drop(parts));
    }
}

impl LayerWeights {
    fn pack(precision: Precision, config: &ModelConfig, params: &Params, layer: usize) -> Self {
        let tensors = LayerTensors::new(params, layer);
        let get = |suffix: &str| tensors.get(suffix);
        let weights = ["q", "k", "v"].map(|p| get(&format!("self_attn.{p}_proj.weight")));
        let (hidden, q) = (config.hidden_size, config.heads * config.head_dim);
        Self {
            input_norm: get("input_layernorm.weight").to_vec(),
            qkv: Matrix::pack(precision, &weights, hidden),
            qkv_bias: config.qkv_bias.then(|| {
                ["q", "k", "v"]
                    .map(|p| get(&format!("self_attn.{p}_proj.bias")))
                    .concat()
            }),
            head_norms: config
                .qk_norm
                .then(|| ["q", "k"].map(|p| get(&format!("self_attn.{p}_norm.weight")).to_vec())),
            o: Matrix::pack(precision, &[get("self_attn.o_proj.weight")], q),
            post_norm: get("post_attention_layernorm.weight").to_vec(),
            gate_up: Matrix::pack_pair(
                precision,
                [get("mlp.gate_proj.weight"), get("mlp.up_proj.weight")],
                hidden,
            ),
            down: Matrix::pack(precision, &[get("mlp.down_proj.weight")], config.intermediate_size),
        }
    }

    fn bytes(&self) -> usize {
        let matrices = [&self.qkv, &self.o, &self.gate_up, &self.down];
        let norms = self.input_norm.len() + self.post_norm.len();
        matrices.iter().map(|matrix| matrix.bytes()).sum::<usize>() + size_of::<f32>() * norms
    }
}
