//! The kernels of `exact`: one source, compiled once per engine.
#![allow(unsafe_code)]

use std::sync::Arc;

use cudarc::driver::{CudaFunction, CudaModule};
use cudarc::nvrtc::Ptx;

use super::driver::{Stream, failed};
use crate::device::DeviceError;

/// The source, CUDA C++.
#[cfg(not(feature = "cuda-ptx"))]
pub(super) const SOURCE: &str = concat!(
    include_str!("kernels/common.cu"),
    include_str!("kernels/linear.cu"),
    include_str!("kernels/rows.cu"),
    include_str!("kernels/attention.cu"),
);
/// Threads of every block but those of the products: THREADS in the source.
pub(super) const THREADS: u32 = 128;
/// Columns of a panel of packed weights: PANEL in the source.
pub(super) const PANEL: usize = 32;
/// Columns of a block of a product: COLUMNS in the source.
pub(super) const COLUMNS: usize = 64;
/// Rows of a block of a product of many rows.
pub(super) const ROWS: usize = 8;
/// Widest head: MAX_HEAD_DIM in the source.
pub(super) const MAX_HEAD_DIM: usize = 512;

/// Declares the kernels: a field each, loaded by its name.
macro_rules! kernels {
    ($($name:ident),* $(,)?) => {
        /// Handles of the kernels, by their names in the source.
        #[derive(Debug)]
        pub(super) struct Kernels {
            $(pub(super) $name: CudaFunction,)*
        }

        impl Kernels {
            fn from_module(module: &Arc<CudaModule>) -> Result<Self, DeviceError> {
                let load = |name: &str| module.load_function(name).map_err(failed("loading a kernel"));
                Ok(Self { $($name: load(stringify!($name))?,)* })
            }
        }
    };
}

kernels!(
    embed_table,
    embed_f32,
    embed_bf16,
    gather_rows,
    rms_norm,
    rms_norm_heads,
    add_bias,
    rope,
    swiglu,
    add_rows,
    linear_f32_1,
    linear_f32_8,
    linear_bf16_1,
    linear_bf16_8,
    write_kv_f32,
    write_kv_bf16,
    attention_f32,
    attention_bf16,
);

impl Kernels {
    /// Compiles the kernels for the stream's device and loads them.
    pub(super) fn load(stream: &Stream) -> Result<Self, DeviceError> {
        let context = stream.stream.context();
        let (major, minor) = context.compute_capability().map_err(failed("asking for its kind"))?;
        let module = context
            .load_module(compile(major, minor)?)
            .map_err(failed("loading its kernels"))?;
        Self::from_module(&module)
    }
}

/// The kernels as PTX, which the driver translates for its device.
#[cfg(feature = "cuda-ptx")]
fn compile(_major: i32, _minor: i32) -> Result<Ptx, DeviceError> {
    Ok(Ptx::from_src(include_str!(env!("SVS_CUDA_PTX"))))
}

/// Whether NVRTC's library is there.
#[cfg(not(feature = "cuda-ptx"))]
fn nvrtc_is_there() -> bool {
    #[cfg(not(feature = "cuda-fast"))]
    // SAFETY: only opens and closes the library.
    return unsafe { cudarc::nvrtc::sys::is_culib_present() };
    // Linked with it, or with what answers with a failure without it.
    #[cfg(feature = "cuda-fast")]
    {
        use cudarc::nvrtc::sys::{nvrtcResult, nvrtcVersion};
        let (mut major, mut minor) = (0, 0);
        // SAFETY: the pointers are to integers that outlive the call.
        unsafe { nvrtcVersion(&raw mut major, &raw mut minor) == nvrtcResult::NVRTC_SUCCESS }
    }
}

/// The kernels as PTX for devices of this kind.
#[cfg(not(feature = "cuda-ptx"))]
pub(super) fn compile(major: i32, minor: i32) -> Result<Ptx, DeviceError> {
    use cudarc::nvrtc::{CompileError, CompileOptions, compile_ptx_with_opts};
    if !nvrtc_is_there() {
        let reason = "NVRTC (libnvrtc.so.13) is not in the library path; it is part of the CUDA toolkit, and PyPI has it as \
                      nvidia-cuda-nvrtc";
        return Err(DeviceError::Compile(reason.into()));
    }
    let options = CompileOptions {
        // Every fused multiply-add is one that the source writes.
        fmad: Some(false),
        options: vec![format!("--gpu-architecture=compute_{major}{minor}")],
        name: Some("exact.cu".into()),
        ..CompileOptions::default()
    };
    compile_ptx_with_opts(SOURCE, options).map_err(|error| {
        DeviceError::Compile(match error {
            CompileError::CompileError { log, .. } => log.to_string_lossy().into_owned(),
            other => other.to_string(),
        })
    })
}
