//! The kernels of the decoder, each forward and backward in one file.
//!
//! Every output element is reduced in one fixed order that depends neither on the batch, nor on chunking or neighbours,
//! nor on the number of threads or the instruction set; work is split over rows and columns only.

pub(crate) mod attention;
pub(crate) mod buffer;
pub(crate) mod elementwise;
mod exp;
pub(crate) mod gemm;
pub mod heaps;
mod lane;
mod limits;
pub(crate) mod logsumexp;
pub(crate) mod norm;
pub(crate) mod par;
pub(crate) mod rope;
pub(crate) mod simd;
mod team;

pub use buffer::zeros;
pub use exp::exp;
pub use lane::behind_serving;
pub use limits::MachineLimits;
pub use logsumexp::logsumexp;
pub use par::{for_each, map};
pub use team::{Lent, Team};

#[cfg(test)]
mod tests;
