//! Master parameters of a decoder as one flat f32 arena, so that optimizer, clipping and checkpoints are one loop each.

use std::sync::Arc;

use crate::config::ModelConfig;
use crate::ops::buffer::zeros;
use crate::ops::for_each;

/// One tensor inside the arena.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParamEntry {
    /// Hugging Face name, e.g. `model.layers.0.self_attn.q_proj.weight`.
    pub name: String,
    /// Shape, row-major; projections are `[out, in]`.
    pub shape: Vec<usize>,
    /// First element in the arena.
    pub offset: usize,
}

impl ParamEntry {
    /// Number of elements.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// True if a dimension is zero.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Weight decay applies to matrices, not to norms and biases.
    #[must_use]
    pub fn decays(&self) -> bool {
        self.shape.len() >= 2
    }
}

/// Names, shapes and offsets of all parameters of a model, in a fixed order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParamLayout {
    /// Entries in arena order.
    pub entries: Vec<ParamEntry>,
    /// Elements of the arena.
    pub len: usize,
}

impl ParamLayout {
    /// The layout of `config`: embedding, then per layer input norm, q, k, v (with biases and head norms where the
    /// family has them), o, post-attention norm, gate, up, down; final norm; output projection unless tied.
    #[must_use]
    pub fn of(config: &ModelConfig) -> Self {
        let mut layout = Self {
            entries: Vec::new(),
            len: 0,
        };
        let (hidden, head) = (config.hidden_size, config.head_dim);
        let (q, kv) = (config.heads * head, config.kv_heads * head);
        layout.push("model.embed_tokens.weight".into(), &[config.vocab_size, hidden]);
        for layer in 0..config.layers {
            let name = |suffix: &str| format!("model.layers.{layer}.{suffix}");
            layout.push(name("input_layernorm.weight"), &[hidden]);
            for (projection, rows) in [("q", q), ("k", kv), ("v", kv)] {
                layout.push(name(&format!("self_attn.{projection}_proj.weight")), &[rows, hidden]);
                if config.qkv_bias {
                    layout.push(name(&format!("self_attn.{projection}_proj.bias")), &[rows]);
                }
            }
            if config.qk_norm {
                layout.push(name("self_attn.q_norm.weight"), &[head]);
                layout.push(name("self_attn.k_norm.weight"), &[head]);
            }
            layout.push(name("self_attn.o_proj.weight"), &[hidden, q]);
            layout.push(name("post_attention_layernorm.weight"), &[hidden]);
            layout.push(name("mlp.gate_proj.weight"), &[config.intermediate_size, hidden]);
            layout.push(name("mlp.up_proj.weight"), &[config.intermediate_size, hidden]);
            layout.push(name("mlp.down_proj.weight"), &[hidden, config.intermediate_size]);
        }
        layout.push("model.norm.weight".into(), &[hidden]);
        if !config.tie_word_embeddings {
            layout.push("lm_head.weight".into(), &[config.vocab_size, hidden]);
        }
        layout
    }

    fn push(&mut self, name: String, shape: &[usize]) {
        let entry = ParamEntry {
            name,
            shape: shape.to_vec(),
            offset: self.len,
        };
        self.len += entry.len();
        self.entries.push(entry);
    }

    /// The entry called `name`.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&ParamEntry> {
        self.entries.iter().find(|entry| entry.name == name)
    }
}

/// Values that [`Params::clear`] writes at a time, 1 MB.
const CLEARED: usize = 1 << 18;

/// Values (or gradients, or moments) for every parameter of a layout, `[layout.len]` f32.
#[derive(Debug, Clone, PartialEq)]
pub struct Params {
    /// Where each tensor lies.
    pub layout: Arc<ParamLayout>,
    /// The arena.
    pub values: Vec<f32>,
}

impl Params {
    /// All zeros.
    #[must_use]
    pub fn zeros(layout: Arc<ParamLayout>) -> Self {
        let values = zeros(layout.len);
        Self { layout, values }
    }

    /// Makes all values 0, on this thread's team.
    pub fn clear(&mut self) {
        for_each(self.values.chunks_mut(CLEARED).collect(), |values| values.fill(0.0));
    }

    /// The tensor called `name`, if the layout has it.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&[f32]> {
        let entry = self.layout.find(name)?;
        Some(&self.values[entry.offset..entry.offset + entry.len()])
    }

    /// The tensor called `name`, mutably.
    pub fn get_mut(&mut self, name: &str) -> Option<&mut [f32]> {
        let entry = self.layout.find(name)?;
        let range = entry.offset..entry.offset + entry.len();
        Some(&mut self.values[range])
    }
}
