//! Building for CUDA on a machine that has neither CUDA nor a GPU, and checking the kernels there and where there is one.

mod deferred;
pub(crate) mod gpu_check;
mod kernels;
mod libcuda;
pub(crate) mod toolchain;

#[cfg(test)]
mod tests;
