//! The kernels of the decoder, each forward and backward in one file.
//!
//! Every output element is reduced in one fixed order that depends neither on the batch, nor on chunking or neighbours,
//! nor on the number of threads or the instruction set; work is split over rows and columns only.

mod exp;
mod logsumexp;
mod simd;

pub use exp::exp;
pub use logsumexp::logsumexp;

#[cfg(test)]
mod tests;
