//! Wire types of the HTTP API: what clients send and what they get back, with their schemas.
//!
//! Shapes follow the OpenAI API; extensions keep the names that vLLM uses. Nothing here knows engine, trainer or HTTP.
//! Ranges are checked by the server, which knows the model; here only shapes are.

pub mod adapters;
pub mod chat;
pub mod common;
pub mod completion;
pub mod control;
pub mod describe;
pub mod embeddings;
pub mod error;
pub mod files;
pub mod fine_tuning;
mod flexible;
pub mod graders;
pub mod guide;
pub mod models;
pub mod native;
pub mod responses;
mod sampling;
pub mod score;
pub mod sessions;
pub mod token_generation;
pub mod tokenize;
pub mod tools;
pub mod train;
pub mod trajectories;
pub mod updates;

pub use chat::{ChatCompletion, ChatCompletionChunk, ChatCompletionRequest};
pub use common::{PromptLogprobs, StreamOptions, Usage, WeightVersionSpan};
pub use completion::{Completion, CompletionRequest};
pub use error::{ErrorBody, ErrorResponse};
pub use flexible::{Content, Prompt, Seed, TextOrList, TokenIds};
pub use sampling::SamplingFields;
