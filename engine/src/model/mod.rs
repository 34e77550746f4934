//! The decoder, written once for Llama, Mistral, Qwen2 and Qwen3 over [`crate::ops`]: one forward that serves
//! prefill, decode and any mix of both. It knows weights, KV blocks and rows; not requests, sampling or losses.

mod executor;
mod forward;
mod kv_cache;
mod layer;

pub use executor::Executor;
pub use forward::{Scratch, SequenceRows, StepBatch, forward};
pub(crate) use kv_cache::Aligned;
pub use kv_cache::{BLOCK_TOKENS, KvCache};
pub(crate) use layer::{Activations, Copied, LayerRows, Run, cut_runs, keys_and_values, layer_forward};
