//! The least that the phases of a training step must do: the floor that their times are held against.

use serde::Serialize;
use svs_engine::ModelConfig;

/// Operations, and bytes of weights, gradients and moments; activations, keys and values come on top.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Work {
    /// Multiplications and additions.
    pub operations: f64,
    /// Bytes read and written.
    pub bytes: f64,
}

/// What a step is made of.
#[derive(Debug, Clone, Copy)]
pub(super) struct StepShape<'a> {
    pub(super) config: &'a ModelConfig,
    /// Parameters.
    pub(super) parameters: usize,
    /// Bytes of the weights as they are served.
    pub(super) served_bytes: usize,
    /// Of each sequence, the tokens that another one's rows have, and all that have rows: among all sequences, and among
    /// those of a micro-batch.
    pub(super) sampled_rows: &'a [(usize, usize)],
    pub(super) updated_rows: &'a [(usize, usize)],
    pub(super) micro_batches: usize,
    /// Response tokens of all sequences, and of one.
    pub(super) sampled: usize,
    pub(super) response_tokens: usize,
}

impl StepShape<'_> {
    /// Every token once through the decoder, those sampled through the vocabulary; the weights once a token of a response.
    pub(super) fn rollout(&self) -> Work {
        Work {
            operations: self.forward_operations(self.sampled_rows),
            bytes: (self.response_tokens * self.served_bytes) as f64,
        }
    }

    /// Three forwards' operations. Every micro-batch reads the served weights and the parameters, transposed, and adds to the
    /// gradients.
    pub(super) fn forward_backward(&self) -> Work {
        let parameters = size_of::<f32>() * self.parameters;
        Work {
            operations: 3.0 * self.forward_operations(self.updated_rows),
            bytes: (self.micro_batches * (self.served_bytes + parameters + 2 * parameters)) as f64,
        }
    }

    /// Forward and backward, and AdamW: parameters and both moments read and written, gradients read twice, once for their norm.
    pub(super) fn update(&self) -> Work {
        let Work { operations, bytes } = self.forward_backward();
        Work {
            operations: operations + (14 * self.parameters) as f64,
            bytes: bytes + (8 * size_of::<f32>() * self.parameters) as f64,
        }
    }

    /// The parameters read, the served weights written.
    pub(super) fn publish(&self) -> Work {
        Work {
            operations: 0.0,
            bytes: (size_of::<f32>() * self.parameters + self.served_bytes) as f64,
        }
    }

    fn forward_operations(&self, rows: &[(usize, usize)]) -> f64 {
        let config = self.config;
        let (q, kv) = (config.heads * config.head_dim, config.kv_heads * config.head_dim);
        let body = config.hidden_size * (2 * q + 2 * kv + 3 * config.intermediate_size);
        let layers = rows.iter().map(|(shared, len)| {
            let seen: usize = (shared + 1..=*len).sum();
            config.layers * ((len - shared) * body + 2 * q * seen)
        });
        2.0 * (layers.sum::<usize>() + self.sampled * config.hidden_size * config.vocab_size) as f64
    }
}
