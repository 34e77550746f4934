//! Served weights read back, tensor by tensor, as a trainer or a checker knows them.

use super::{LayerWeights, WeightSet};
use crate::config::ModelConfig;
use crate::ops::elementwise::Embedding;
use crate::ops::gemm::Matrix;

/// Takes parts of tensors: the Hugging Face name, and the next elements of that tensor in row-major order.
pub type TensorReader<'a> = &'a mut dyn FnMut(&str, &[f32]);

impl WeightSet {
    /// Hands every tensor to `read` as it is served, thus rounded where it is held in bf16: one tensor after the other, each
    /// row by row. Tied embeddings are one tensor, `model.embed_tokens.weight`.
    pub fn read(&self, read: TensorReader<'_>) {
        let (hidden, rows) = (self.config.hidden_size, self.config.vocab_size);
        match &self.embedding {
            Embedding::Table(table) => {
                read("model.embed_tokens.weight", table);
                rows_of(&self.head, "lm_head.weight", 0..rows, hidden, read);
            }
            Embedding::Tied => rows_of(&self.head, "model.embed_tokens.weight", 0..rows, hidden, read),
        }
        for (index, layer) in self.layers.iter().enumerate() {
            layer.read(&self.config, index, read);
        }
        read("model.norm.weight", &self.norm);
    }
}

impl LayerWeights {
    fn read(&self, config: &ModelConfig, index: usize, read: TensorReader<'_>) {
        let name = |suffix: &str| format!("model.layers.{index}.{suffix}");
        let hidden = config.hidden_size;
        let (q, kv) = (config.heads * config.head_dim, config.kv_heads * config.head_dim);
        read(&name("input_layernorm.weight"), &self.input_norm);
        for (projection, first, rows) in [("q", 0, q), ("k", q, kv), ("v", q + kv, kv)] {
            let weight = name(&format!("self_attn.{projection}_proj.weight"));
            rows_of(&self.qkv, &weight, first..first + rows, hidden, read);
            if let Some(bias) = &self.qkv_bias {
                let name = name(&format!("self_attn.{projection}_proj.bias"));
                read(&name, &bias[first..first + rows]);
            }
        }
        if let Some([q, k]) = &self.head_norms {
            read(&name("self_attn.q_norm.weight"), q);
            read(&name("self_attn.k_norm.weight"), k);
        }
        rows_of(&self.o, &name("self_attn.o_proj.weight"), 0..hidden, q, read);
        read(&name("post_attention_layernorm.weight"), &self.post_norm);
        let mut row = vec![0.0; hidden];
        for (weight, second) in [("gate", false), ("up", true)] {
            let name = name(&format!("mlp.{weight}_proj.weight"));
            for at in 0..config.intermediate_size {
                self.gate_up.pair_row_into(second, at, &mut row);
                read(&name, &row);
            }
        }
        let (down, width) = (name("mlp.down_proj.weight"), config.intermediate_size);
        rows_of(&self.down, &down, 0..hidden, width, read);
    }
}

fn rows_of(matrix: &Matrix, name: &str, rows: std::ops::Range<usize>, width: usize, read: TensorReader<'_>) {
    let mut row = vec![0.0; width];
    for at in rows {
        matrix.row_into(at, &mut row);
        read(name, &row);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use half::bf16;

    use super::*;
    use crate::config::{Family, Precision, Rope};
    use crate::params::{ParamLayout, Params};

    /// Sizes that fill no panel.
    fn config(family: Family, tied: bool) -> ModelConfig {
        ModelConfig {
            family,
            vocab_size: 37,
            hidden_size: 24,
            intermediate_size: 41,
            layers: 2,
            heads: 3,
            kv_heads: 1,
            head_dim: 10,
            max_position_embeddings: 16,
            rms_norm_eps: 1e-5,
            rope: Rope {
                theta: 10_000.0,
                scaling: None,
            },
            tie_word_embeddings: tied,
            qkv_bias: family == Family::Qwen2,
            qk_norm: family == Family::Qwen3,
            sliding_window: None,
        }
    }

    #[test]
    fn what_is_read_is_what_was_packed() {
        for (family, tied) in [(Family::Llama, true), (Family::Qwen2, false), (Family::Qwen3, true)] {
            for precision in [Precision::F32, Precision::Bf16] {
                let config = config(family, tied);
                let mut params = Params::zeros(Arc::new(ParamLayout::of(&config)));
                // Neither equal to each other nor exact in bf16.
                (0_u16..)
                    .zip(&mut params.values)
                    .for_each(|(at, value)| *value = 1.0 + f32::from(at) / 32_768.0);
                let set = WeightSet::pack_as(precision, &config, &params, 1, "read");
                let mut found: BTreeMap<String, Vec<f32>> = BTreeMap::new();
                set.read(&mut |name, part| found.entry(name.to_owned()).or_default().extend(part));
                assert_eq!(found.len(), params.layout.entries.len());
                for entry in &params.layout.entries {
                    let held = |value: &f32| {
                        let table = entry.name == "model.embed_tokens.weight" && !tied;
                        let rounds = precision == Precision::Bf16 && entry.decays() && !table;
                        if rounds {
                            bf16::from_f32(*value).to_f32()
                        } else {
                            *value
                        }
                    };
                    let packed = params.get(&entry.name).expect("of the layout");
                    let wanted: Vec<f32> = packed.iter().map(held).collect();
                    assert_eq!(found[&entry.name], wanted, "{family:?} {precision:?} {}", entry.name);
                }
            }
        }
    }
}
