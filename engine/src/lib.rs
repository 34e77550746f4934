//! Tokens in, tokens and logprobs out.
//!
//! The engine knows no HTTP, no rewards and no datasets. Layers, arrows only downward:
//! `runtime` (step loop, handle) → `scheduler`, `kv`, `sampler` (no tensors, no clocks) and `model` → `ops` (kernels).
//! `train` is the explicit backward over the same ops. `load` reads and writes model files, `text` tokenizes.

mod buckets;
pub mod config;
pub mod control;
#[cfg(feature = "cuda")]
pub mod cuda;
pub mod device;
pub mod error;
mod gathering;
pub mod guide;
pub mod kv;
pub mod load;
pub mod model;
pub mod ops;
pub mod params;
pub mod request;
pub mod runtime;
pub mod sampler;
pub mod scheduler;
pub mod tap;
pub mod text;
pub mod train;
pub mod weights;

pub use buckets::Buckets;
pub use config::{EngineConfig, InFlight, ModelConfig, Precision, Storage};
pub use device::{CudaMode, Device, DeviceError};
pub use error::EngineError;
pub use params::{ParamLayout, Params};
pub use request::{Completion, Event, FinishReason, GenerateRequest, Pooling, SamplingParams, TokenEvent, VersionSpan};
pub use runtime::{EngineHandle, Generation};
pub use weights::{WeightSet, WeightStore};
