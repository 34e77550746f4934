//! `POST /v1/embeddings`, in OpenAI's shapes.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::flexible::Prompt;

/// Texts to embed. Unknown fields are refused by name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EmbeddingRequest {
    /// A name from `/v1/models`.
    pub model: String,
    /// One or several texts, each as text or token ids. A text is encoded as a completion's prompt is.
    pub input: Prompt,
    /// `float` (default), or `base64`: little-endian f32.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encoding_format: Option<String>,
    /// Keep the first so many dimensions, at least 1, and normalise what is left. Default: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dimensions: Option<usize>,
    /// Accepted; not used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// `mean` of the last hidden states of all tokens, or that of the `last` token. Default: server.embedding_pooling.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pooling: Option<String>,
}

/// A vector of length 1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum Vector {
    /// Its elements.
    Numbers(Vec<f32>),
    /// Its elements as little-endian f32, in base64.
    Base64(String),
}

/// The vector of one input.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Embedding {
    /// Always `embedding`.
    pub object: String,
    /// Which input.
    pub index: usize,
    /// Its vector.
    pub embedding: Vector,
}

/// Token counts of a request for embeddings.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EmbeddingUsage {
    /// Tokens of all inputs.
    pub prompt_tokens: usize,
    /// The same.
    pub total_tokens: usize,
}

/// The vectors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct EmbeddingList {
    /// Always `list`.
    pub object: String,
    /// One per input, in order.
    pub data: Vec<Embedding>,
    /// The name asked for.
    pub model: String,
    /// Token counts.
    pub usage: EmbeddingUsage,
    /// Weight version that all vectors are of.
    pub weight_version: u64,
}
