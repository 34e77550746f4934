//! The decoder on CUDA devices.
//!
//! `exact` runs own kernels (`kernels/*.cu`), each of which computes every output element in the CPU's order of sums, so
//! its logits are the CPU's bits and the trainer's forward on the CPU has parity with them. They are compiled by NVRTC when
//! an engine starts, or come as PTX in the binary (feature `cuda-ptx`). `fast` (feature `cuda-fast`) is cuBLAS and
//! mistral.rs's paged attention.

mod acts;
mod driver;
mod exact;
#[cfg(feature = "cuda-fast")]
mod fast;
mod kernels;
mod kv;
mod launch;
mod rows;
mod weights;

pub use driver::{CudaDevice, devices};
pub(crate) use exact::Exact;
#[cfg(feature = "cuda-fast")]
pub(crate) use fast::Fast;
