//! One safe call per kernel: checks that the operands are long enough, then queues it.
#![allow(unsafe_code)]

use cudarc::driver::{CudaFunction, CudaSlice, LaunchArgs, LaunchConfig, PushKernelArg};

use super::driver::{Stream, failed};
use super::kernels::{COLUMNS, Kernels, PANEL, ROWS, THREADS};
use super::kv::{DeviceKv, Elements};
use super::rows::DeviceRows;
use super::weights::{DeviceMatrix, DevicePanels};
use crate::device::DeviceError;
use crate::ops::attention::AttentionShape;

type Done = Result<(), DeviceError>;

/// Queues kernels on a stream.
#[derive(Clone, Copy)]
pub(super) struct Launcher<'a> {
    pub(super) stream: &'a Stream,
    pub(super) kernels: &'a Kernels,
}

/// A dimension as the kernels take it.
fn int(value: usize) -> i32 {
    i32::try_from(value).expect("dimensions of a step fit i32")
}

impl<'a> Launcher<'a> {
    fn call(&self, kernel: &'a CudaFunction) -> LaunchArgs<'a> {
        self.stream.stream.launch_builder(kernel)
    }

    /// `out = table[tokens]`, `[rows, hidden]`, from a table or from the columns of the head.
    pub(super) fn embed(
        &self,
        tokens: &CudaSlice<u32>,
        rows: usize,
        table: Option<&CudaSlice<f32>>,
        head: &DeviceMatrix,
        out: &mut CudaSlice<f32>,
    ) -> Done {
        assert!(
            tokens.len() >= rows && out.len() >= rows * head.k,
            "shape of the embedding"
        );
        let hidden = int(head.k);
        let mut call = match (table, &head.panels) {
            (Some(_), _) => self.call(&self.kernels.embed_table),
            (None, DevicePanels::F32(_)) => self.call(&self.kernels.embed_f32),
            (None, DevicePanels::Bf16(_)) => self.call(&self.kernels.embed_bf16),
        };
        call.arg(tokens);
        match (table, &head.panels) {
            (Some(table), _) => call.arg(table),
            (None, DevicePanels::F32(panels)) => call.arg(panels),
            (None, DevicePanels::Bf16(panels)) => call.arg(panels),
        };
        call.arg(out).arg(&hidden);
        // SAFETY: lengths are checked above, tokens are below the vocabulary's size.
        unsafe { launch(&mut call, (rows, 1), THREADS) }
    }

    /// `out = x[from]`, `[rows, width]`.
    pub(super) fn gather(
        &self,
        x: &CudaSlice<f32>,
        from: &CudaSlice<u32>,
        rows: usize,
        width: usize,
        out: &mut CudaSlice<f32>,
    ) -> Done {
        assert!(from.len() >= rows && out.len() >= rows * width, "shape of the rows");
        let width = int(width);
        let mut call = self.call(&self.kernels.gather_rows);
        call.arg(x).arg(from).arg(out).arg(&width);
        // SAFETY: lengths are checked above, the rows lie within the batch.
        unsafe { launch(&mut call, (rows, 1), THREADS) }
    }

    /// `out = x / rms(x) · weight`, `[rows, weight]`.
    pub(super) fn rms_norm(
        &self,
        x: &CudaSlice<f32>,
        weight: &CudaSlice<f32>,
        rows: usize,
        eps: f32,
        out: &mut CudaSlice<f32>,
    ) -> Done {
        assert!(x.len().min(out.len()) >= rows * weight.len(), "shape of the norm");
        let width = int(weight.len());
        let mut call = self.call(&self.kernels.rms_norm);
        call.arg(x).arg(weight).arg(out).arg(&width).arg(&eps);
        // SAFETY: lengths are checked above.
        unsafe { launch(&mut call, (rows, 1), THREADS) }
    }

    /// Normalises `heads` heads from column `first` of rows `[rows, width]` on.
    pub(super) fn rms_norm_heads(
        &self,
        x: &mut CudaSlice<f32>,
        weight: &CudaSlice<f32>,
        rows: usize,
        width: usize,
        first: usize,
        heads: usize,
        eps: f32,
    ) -> Done {
        let head = weight.len();
        assert!(
            x.len() >= rows * width && first + heads * head <= width,
            "shape of the head norms"
        );
        let (width, first, head) = (int(width), int(first), int(head));
        let mut call = self.call(&self.kernels.rms_norm_heads);
        call.arg(x).arg(weight).arg(&width).arg(&first).arg(&head).arg(&eps);
        // SAFETY: lengths are checked above.
        unsafe { launch(&mut call, (rows, heads), THREADS) }
    }

    /// Adds `bias` to every row.
    pub(super) fn add_bias(&self, x: &mut CudaSlice<f32>, bias: &CudaSlice<f32>, rows: usize) -> Done {
        assert!(x.len() >= rows * bias.len(), "shape of the bias");
        let width = int(bias.len());
        let mut call = self.call(&self.kernels.add_bias);
        call.arg(x).arg(bias).arg(&width);
        // SAFETY: lengths are checked above.
        unsafe { launch(&mut call, (rows, 1), THREADS) }
    }

    /// Turns the first `heads` heads of rows `[rows, width]` by their positions.
    pub(super) fn rope(
        &self,
        x: &mut CudaSlice<f32>,
        table: &CudaSlice<f32>,
        positions: &CudaSlice<u32>,
        rows: usize,
        width: usize,
        heads: usize,
        half: usize,
    ) -> Done {
        assert!(
            x.len() >= rows * width && positions.len() >= rows && heads * 2 * half <= width,
            "shape of the rotation"
        );
        let (width, heads, half) = (int(width), int(heads), int(half));
        let mut call = self.call(&self.kernels.rope);
        call.arg(x).arg(table).arg(positions).arg(&width).arg(&heads).arg(&half);
        // SAFETY: lengths are checked above, the table covers every position of the step.
        unsafe { launch(&mut call, (rows, 1), THREADS) }
    }

    /// `out = silu(gate) · up` for rows `[gate | up]`, `[rows, width]`.
    pub(super) fn swiglu(&self, gate_up: &CudaSlice<f32>, rows: usize, width: usize, out: &mut CudaSlice<f32>) -> Done {
        assert!(
            gate_up.len() >= 2 * rows * width && out.len() >= rows * width,
            "shape of SwiGLU"
        );
        let width = int(width);
        let mut call = self.call(&self.kernels.swiglu);
        call.arg(gate_up).arg(out).arg(&width);
        // SAFETY: lengths are checked above.
        unsafe { launch(&mut call, (rows, 1), THREADS) }
    }

    /// `out = a + b`, `[rows, width]`.
    pub(super) fn add(
        &self,
        a: &CudaSlice<f32>,
        b: &CudaSlice<f32>,
        rows: usize,
        width: usize,
        out: &mut CudaSlice<f32>,
    ) -> Done {
        assert!(a.len().min(b.len()).min(out.len()) >= rows * width, "shape of the sum");
        let width = int(width);
        let mut call = self.call(&self.kernels.add_rows);
        call.arg(a).arg(b).arg(out).arg(&width);
        // SAFETY: lengths are checked above.
        unsafe { launch(&mut call, (rows, 1), THREADS) }
    }

    /// `out = X · Wᵀ` for `X` `[rows, k]`; `out` is `[rows, n]`.
    pub(super) fn linear(
        &self,
        x: &CudaSlice<f32>,
        weights: &DeviceMatrix,
        rows: usize,
        out: &mut CudaSlice<f32>,
    ) -> Done {
        let (n, k) = (weights.n, weights.k);
        assert!(x.len() >= rows * k && out.len() >= rows * n, "shape of the product");
        let length = n.div_ceil(PANEL) * PANEL * k;
        // Both tiles give the same bits: a chain belongs to one output.
        let few = rows < ROWS / 2;
        let height = if few { 1 } else { ROWS };
        let (count, terms, columns) = (int(rows), int(k), int(n));
        let mut call = match &weights.panels {
            DevicePanels::F32(panels) => {
                assert_eq!(panels.len(), length, "shape of the weights");
                let mut call = self.call(if few {
                    &self.kernels.linear_f32_1
                } else {
                    &self.kernels.linear_f32_8
                });
                call.arg(x).arg(panels);
                call
            }
            DevicePanels::Bf16(panels) => {
                assert_eq!(panels.len(), length, "shape of the weights");
                let mut call = self.call(if few {
                    &self.kernels.linear_bf16_1
                } else {
                    &self.kernels.linear_bf16_8
                });
                call.arg(x).arg(panels);
                call
            }
        };
        call.arg(out).arg(&count).arg(&terms).arg(&columns);
        // SAFETY: lengths are checked above.
        unsafe { launch(&mut call, (n.div_ceil(COLUMNS), rows.div_ceil(height)), COLUMNS as u32) }
    }

    /// Writes the keys and values of every row of `qkv` into `layer` of `kv`.
    pub(super) fn write_kv(
        &self,
        qkv: &CudaSlice<f32>,
        kv: &mut DeviceKv,
        at: &DeviceRows,
        rows: usize,
        shape: &AttentionShape,
        layer: usize,
    ) -> Done {
        assert!(
            qkv.len() >= rows * shape.qkv() && layer < kv.layers,
            "shape of the keys"
        );
        let (heads, kv_heads, head) = (int(shape.heads), int(shape.kv_heads), int(shape.head_dim));
        let (layers, layer) = (int(kv.layers), int(layer));
        let mut call = match &mut kv.elements {
            Elements::F32(elements) => {
                let mut call = self.call(&self.kernels.write_kv_f32);
                call.arg(qkv).arg(elements);
                call
            }
            Elements::Bf16(elements) => {
                let mut call = self.call(&self.kernels.write_kv_bf16);
                call.arg(qkv).arg(elements);
                call
            }
        };
        call.arg(&at.slots);
        call.arg(&heads).arg(&kv_heads).arg(&head).arg(&layers).arg(&layer);
        // SAFETY: lengths are checked above, the slots lie in blocks of the cache.
        unsafe { launch(&mut call, (rows, 1), THREADS) }
    }

    /// Attention of every row of `qkv` over its sequence's blocks, `[rows, heads · head_dim]`.
    pub(super) fn attention(
        &self,
        qkv: &CudaSlice<f32>,
        kv: &DeviceKv,
        at: &DeviceRows,
        rows: usize,
        shape: &AttentionShape,
        layer: usize,
        out: &mut CudaSlice<f32>,
    ) -> Done {
        assert!(
            qkv.len() >= rows * shape.qkv() && out.len() >= rows * shape.q() && layer < kv.layers,
            "shape of the attention"
        );
        let (heads, kv_heads, head) = (int(shape.heads), int(shape.kv_heads), int(shape.head_dim));
        let (layers, layer) = (int(kv.layers), int(layer));
        let (window, scale) = (int(shape.window.unwrap_or(0)), shape.scale());
        let mut call = match &kv.elements {
            Elements::F32(elements) => {
                let mut call = self.call(&self.kernels.attention_f32);
                call.arg(qkv).arg(elements);
                call
            }
            Elements::Bf16(elements) => {
                let mut call = self.call(&self.kernels.attention_bf16);
                call.arg(qkv).arg(elements);
                call
            }
        };
        call.arg(out);
        call.arg(&at.blocks).arg(&at.tables).arg(&at.positions);
        call.arg(&heads).arg(&kv_heads).arg(&head).arg(&layers).arg(&layer);
        call.arg(&window).arg(&scale);
        // SAFETY: lengths are checked above, the tables name blocks of the cache up to each row's position.
        unsafe { launch(&mut call, (rows, shape.heads), THREADS) }
    }
}

/// Queues a call over `grid` blocks of `threads` threads; nothing for an empty grid.
///
/// # Safety
/// The arguments are those of the kernel, and all that it reads and writes lies in their memory.
unsafe fn launch(call: &mut LaunchArgs<'_>, grid: (usize, usize), threads: u32) -> Done {
    if grid.0 == 0 || grid.1 == 0 {
        return Ok(());
    }
    let size = |blocks| u32::try_from(blocks).expect("grids of a step fit u32");
    let config = LaunchConfig {
        grid_dim: (size(grid.0), size(grid.1), 1),
        block_dim: (threads, 1, 1),
        shared_mem_bytes: 0,
    };
    // SAFETY: passed on to the caller.
    unsafe { call.launch(config) }.map_err(failed("starting a kernel"))?;
    Ok(())
}
