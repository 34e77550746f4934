//! Pooled hidden states → vectors of length 1 on the wire.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use svs_engine::runtime::Embeddings;
use svs_openapi::embeddings::{Embedding, EmbeddingList, EmbeddingUsage, Vector};

use crate::lower::EmbeddingPlan;

/// The whole answer.
#[must_use]
pub fn list(plan: &EmbeddingPlan, embeddings: Embeddings) -> EmbeddingList {
    let word = |(index, state): (usize, Vec<f32>)| {
        let vector = unit(&state[..plan.dimensions]);
        Embedding {
            object: "embedding".into(),
            index,
            embedding: match plan.base64 {
                true => Vector::Base64(STANDARD.encode(bytes(&vector))),
                false => Vector::Numbers(vector),
            },
        }
    };
    EmbeddingList {
        object: "list".into(),
        data: embeddings.states.into_iter().enumerate().map(word).collect(),
        model: plan.model.clone(),
        usage: EmbeddingUsage {
            prompt_tokens: plan.tokens,
            total_tokens: plan.tokens,
        },
        weight_version: embeddings.version,
    }
}

/// The vector of length 1 in the direction of `state`; zeros stay zeros.
fn unit(state: &[f32]) -> Vec<f32> {
    let square: f64 = state.iter().map(|value| f64::from(*value).powi(2)).sum();
    let scale = if square > 0.0 { square.sqrt().recip() } else { 0.0 };
    state.iter().map(|value| (f64::from(*value) * scale) as f32).collect()
}

fn bytes(vector: &[f32]) -> Vec<u8> {
    vector.iter().flat_map(|value| value.to_le_bytes()).collect()
}
