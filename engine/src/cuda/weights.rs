//! Weights on the device, in the layout that its kernels read.

use cudarc::driver::CudaSlice;

use super::driver::Stream;
use super::kernels::PANEL;
use crate::config::Precision;
use crate::device::DeviceError;
use crate::ops::elementwise::Embedding;
use crate::ops::gemm::{HALF, Matrix};
use crate::ops::norm::SERIAL_ELEMENTS;
use crate::ops::par::Par;
use crate::weights::{LayerWeights, WeightSet};

/// A weight matrix `[n, k]` as panels `[ceil(n / 32), k, 32]`.
#[derive(Debug)]
pub(super) struct DeviceMatrix {
    pub(super) n: usize,
    pub(super) k: usize,
    pub(super) panels: DevicePanels,
}

/// Panels in either precision.
#[derive(Debug)]
pub(super) enum DevicePanels {
    F32(CudaSlice<f32>),
    /// The upper halves of f32 numbers.
    Bf16(CudaSlice<u16>),
}

/// A layer's weights.
#[derive(Debug)]
pub(super) struct DeviceLayer {
    pub(super) input_norm: CudaSlice<f32>,
    pub(super) qkv: DeviceMatrix,
    pub(super) qkv_bias: Option<CudaSlice<f32>>,
    pub(super) head_norms: Option<[CudaSlice<f32>; 2]>,
    pub(super) o: DeviceMatrix,
    pub(super) post_norm: CudaSlice<f32>,
    pub(super) gate_up: DeviceMatrix,
    pub(super) down: DeviceMatrix,
}

/// One version's weights.
#[derive(Debug)]
pub(super) struct DeviceWeights {
    /// An embedding table of its own, `[vocab, hidden]`; `None` reads the head's columns.
    pub(super) embedding: Option<CudaSlice<f32>>,
    pub(super) layers: Vec<DeviceLayer>,
    pub(super) norm: CudaSlice<f32>,
    pub(super) head: DeviceMatrix,
}

impl DeviceWeights {
    /// Copies `set` to the device.
    pub(super) fn upload(stream: &Stream, set: &WeightSet) -> Result<Self, DeviceError> {
        let config = &set.config;
        Ok(Self {
            embedding: match &set.embedding {
                Embedding::Table(table) => Some(stream.upload(table)?),
                Embedding::Tied => None,
            },
            layers: set
                .layers
                .iter()
                .map(|layer| DeviceLayer::upload(stream, set, layer))
                .collect::<Result<_, _>>()?,
            norm: stream.upload(&set.norm)?,
            head: DeviceMatrix::upload(stream, set, &set.head, [config.vocab_size, config.hidden_size], |row| {
                row
            })?,
        })
    }
}

impl DeviceLayer {
    fn upload(stream: &Stream, set: &WeightSet, layer: &LayerWeights) -> Result<Self, DeviceError> {
        let config = &set.config;
        let (hidden, inner) = (config.hidden_size, config.intermediate_size);
        let shape = config.attention_shape();
        let matrix = |matrix, n, k| DeviceMatrix::upload(stream, set, matrix, [n, k], |row| row);
        Ok(Self {
            input_norm: stream.upload(&layer.input_norm)?,
            qkv: matrix(&layer.qkv, shape.qkv(), hidden)?,
            qkv_bias: layer.qkv_bias.as_ref().map(|bias| stream.upload(bias)).transpose()?,
            head_norms: match &layer.head_norms {
                Some([q, k]) => Some([stream.upload(q)?, stream.upload(k)?]),
                None => None,
            },
            o: matrix(&layer.o, hidden, shape.q())?,
            post_norm: stream.upload(&layer.post_norm)?,
            gate_up: DeviceMatrix::upload(stream, set, &layer.gate_up, [2 * inner, hidden], pair(inner))?,
            down: matrix(&layer.down, hidden, inner)?,
        })
    }
}

impl DeviceMatrix {
    /// Copies `matrix`, whose row `i` has been packed as its row `packed(i)`.
    fn upload(
        stream: &Stream,
        set: &WeightSet,
        matrix: &Matrix,
        [n, k]: [usize; 2],
        packed: impl Fn(usize) -> usize + Sync,
    ) -> Result<Self, DeviceError> {
        let panels = match set.storage.weights {
            Precision::F32 => DevicePanels::F32(stream.upload(&repack(matrix, n, k, packed, |value| value))?),
            // Exact: the values have been rounded to bf16 before.
            Precision::Bf16 => {
                let narrow = |value| half::bf16::from_f32(value).to_bits();
                DevicePanels::Bf16(stream.upload(&repack(matrix, n, k, packed, narrow))?)
            }
        };
        Ok(Self { n, k, panels })
    }
}

/// Where the rows `[gate | up]` of `inner` each have been packed: 16 gates beside their 16 ups.
pub(super) fn pair(inner: usize) -> impl Fn(usize) -> usize + Sync {
    move |row| {
        let (side, row) = (row / inner, row % inner);
        row / HALF * 2 * HALF + side * HALF + row % HALF
    }
}

/// The rows `[k]` of `matrix` as panels of the device.
fn repack<T: Copy + Default + Send>(
    matrix: &Matrix,
    n: usize,
    k: usize,
    packed: impl Fn(usize) -> usize + Sync,
    narrow: impl Fn(f32) -> T + Sync,
) -> Vec<T> {
    let mut panels = vec![T::default(); n.div_ceil(PANEL) * PANEL * k];
    Par::Pool.rows(&mut panels, k * PANEL, SERIAL_ELEMENTS, |first, panels| {
        let mut row = vec![0.0; k];
        for (index, panel) in panels.chunks_exact_mut(k * PANEL).enumerate() {
            let column = (first + index) * PANEL;
            for lane in 0..PANEL.min(n - column) {
                matrix.row_into(packed(column + lane), &mut row);
                for (slot, value) in panel[lane..].iter_mut().step_by(PANEL).zip(&row) {
                    *slot = narrow(*value);
                }
            }
        }
    });
    panels
}
