//! cuBLAS and mistral.rs's paged attention.
#![allow(unsafe_code)]

use std::ffi::c_void;

use candle_core::cuda::cudarc::cublas::{result, sys};
use candle_core::cuda::cudarc::driver::{CudaSlice, DevicePtr, DevicePtrMut};
use candle_core::{CpuStorage, CudaStorage, CustomOp2, DType, Error, Layout, Result, Shape, Tensor};
use half::bf16;
use mistralrs_paged_attn::{paged_attention, reshape_and_cache};

use super::Kernels;
use super::rows::{Cache, Rows};

/// From longer contexts on, the attention kernel is called with few enough rows that it cuts the context into parts: else
/// it keeps all scores of a row in shared memory, and ends the process where they do not fit.
const WHOLE_CONTEXT: usize = 8192;
/// Rows × heads up to which it does so.
const CUT_HEADS: usize = 512;
/// Rows of one call: the second dimension of a grid ends at 65535.
const MOST_ROWS: usize = 32_768;
/// What leaves the scores as they are.
const NO_SOFT_CAP: f32 = 1.0;

/// The libraries of a CUDA device.
#[derive(Debug)]
pub(crate) struct Libraries;

impl Kernels for Libraries {
    fn linear(x: &Tensor, w: &Tensor) -> Result<Tensor> {
        match x.dtype() {
            DType::F32 => x.matmul(&w.t()?),
            _ => x.apply_op2_no_bwd(w, &WideProduct),
        }
    }

    fn write(rows: &Rows, keys: &Tensor, values: &Tensor, cache: &Cache) -> Result<()> {
        reshape_and_cache(keys, values, None, None, &cache.keys, &cache.values, &rows.slots)
    }

    fn attend(rows: &Rows, queries: &Tensor, cache: &Cache, scale: f32) -> Result<Tensor> {
        let (count, heads, _) = queries.dims3()?;
        let most = match rows.longest {
            ..=WHOLE_CONTEXT => MOST_ROWS,
            _ => (CUT_HEADS / heads).max(1),
        };
        let part = |first: usize| {
            let len = most.min(count - first);
            paged_attention(
                &queries.narrow(0, first, len)?,
                None,
                None,
                &cache.keys,
                &cache.values,
                &rows.tables.narrow(0, first, len)?,
                &rows.contexts.narrow(0, first, len)?,
                None,
                rows.longest,
                scale,
                NO_SOFT_CAP,
                None,
            )
        };
        let parts = (0..count).step_by(most).map(part).collect::<Result<Vec<_>>>()?;
        match parts.as_slice() {
            [whole] => Ok(whole.clone()),
            parts => Tensor::cat(parts, 0),
        }
    }
}

/// `x · wᵀ` of bf16 operands with an f32 result, which candle's own product rounds to bf16.
struct WideProduct;

impl CustomOp2 for WideProduct {
    fn name(&self) -> &'static str {
        "wide-product"
    }

    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout, _: &CpuStorage, _: &Layout) -> Result<(CpuStorage, Shape)> {
        Err(Error::Msg("the wide product is of CUDA devices".into()))
    }

    fn cuda_fwd(
        &self,
        x: &CudaStorage,
        x_layout: &Layout,
        w: &CudaStorage,
        w_layout: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        let ((rows, k), (n, w_k)) = (x_layout.shape().dims2()?, w_layout.shape().dims2()?);
        if w_k != k || !x_layout.is_contiguous() || !w_layout.is_contiguous() {
            return Err(Error::Msg(format!("wide product of {x_layout:?} and {w_layout:?}")));
        }
        let device = x.device.clone();
        let x = x.as_cuda_slice::<bf16>()?.slice(x_layout.start_offset()..);
        let w = w.as_cuda_slice::<bf16>()?.slice(w_layout.start_offset()..);
        // SAFETY: the product below writes every element.
        let mut out: CudaSlice<f32> = unsafe { device.alloc(rows * n)? };
        let int = |value: usize| i32::try_from(value).map_err(Error::wrap);
        let ([m, columns, depth], stream) = ([int(n)?, int(rows)?, int(k)?], device.cuda_stream());
        let (one, zero) = (1.0_f32, 0.0_f32);
        {
            let (w, _w) = w.device_ptr(&stream);
            let (x, _x) = x.device_ptr(&stream);
            let (out, _out) = out.device_ptr_mut(&stream);
            // Column-major, as cuBLAS sees them: w is `[k, n]`, x `[k, rows]` and the result `[n, rows]`.
            // SAFETY: shapes and contiguity are checked above, and `out` has rows · n elements.
            unsafe {
                result::gemm_ex(
                    *device.cublas_handle().handle(),
                    sys::cublasOperation_t::CUBLAS_OP_T,
                    sys::cublasOperation_t::CUBLAS_OP_N,
                    m,
                    columns,
                    depth,
                    (&raw const one).cast::<c_void>(),
                    w as *const c_void,
                    sys::cudaDataType_t::CUDA_R_16BF,
                    depth,
                    x as *const c_void,
                    sys::cudaDataType_t::CUDA_R_16BF,
                    depth,
                    (&raw const zero).cast::<c_void>(),
                    out as *mut c_void,
                    sys::cudaDataType_t::CUDA_R_32F,
                    m,
                    sys::cublasComputeType_t::CUBLAS_COMPUTE_32F,
                    sys::cublasGemmAlgo_t::CUBLAS_GEMM_DEFAULT_TENSOR_OP,
                )
            }
            .map_err(Error::wrap)?;
        }
        Ok((CudaStorage::wrap_cuda_slice(out, device), (rows, n).into()))
    }
}
