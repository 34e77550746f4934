//! Weights as candle's tensors.

use candle_core::{DType, Device, Result, Tensor, WithDType};
use half::bf16;

use crate::cuda::weights::pair;
use crate::ops::elementwise::Embedding;
use crate::ops::gemm::Matrix;
use crate::ops::norm::SERIAL_ELEMENTS;
use crate::ops::par::Par;
use crate::weights::{LayerWeights, WeightSet};

/// A layer's weights: matrices `[n, k]` in the decoder's type, norms and bias f32.
#[derive(Debug)]
pub(super) struct FastLayer {
    pub(super) input_norm: Tensor,
    pub(super) qkv: Tensor,
    pub(super) qkv_bias: Option<Tensor>,
    pub(super) head_norms: Option<[Tensor; 2]>,
    pub(super) o: Tensor,
    pub(super) post_norm: Tensor,
    pub(super) gate_up: Tensor,
    pub(super) down: Tensor,
}

/// One version's weights.
#[derive(Debug)]
pub(super) struct FastWeights {
    pub(super) embedding: Tensor,
    pub(super) layers: Vec<FastLayer>,
    pub(super) norm: Tensor,
    pub(super) head: Tensor,
}

/// Where tensors go and of what type they are.
struct Upload<'a> {
    dtype: DType,
    device: &'a Device,
}

impl FastWeights {
    /// Copies `set` to the device.
    pub(super) fn upload(set: &WeightSet, dtype: DType, device: &Device) -> Result<Self> {
        let (upload, config) = (Upload { dtype, device }, &set.config);
        let whole = [config.vocab_size, config.hidden_size];
        let head = upload.matrix(&set.head, whole, |row| row)?;
        Ok(Self {
            embedding: match &set.embedding {
                // f32, as on the CPU.
                Embedding::Table(table) => Tensor::from_slice(table, &whole[..], device)?,
                Embedding::Tied => head.clone(),
            },
            layers: set
                .layers
                .iter()
                .map(|layer| upload.layer(set, layer))
                .collect::<Result<_>>()?,
            norm: upload.vector(&set.norm)?,
            head,
        })
    }
}

impl Upload<'_> {
    fn vector(&self, values: &[f32]) -> Result<Tensor> {
        Tensor::from_slice(values, values.len(), self.device)
    }

    /// A matrix whose row `i` has been packed as its row `packed(i)`.
    fn matrix(&self, matrix: &Matrix, shape: [usize; 2], packed: impl Fn(usize) -> usize + Sync) -> Result<Tensor> {
        match self.dtype {
            DType::F32 => Tensor::from_vec(rows(matrix, shape, packed, |value| value), &shape[..], self.device),
            // Exact: the values have been rounded to bf16 before.
            _ => Tensor::from_vec(rows(matrix, shape, packed, bf16::from_f32), &shape[..], self.device),
        }
    }

    fn layer(&self, set: &WeightSet, layer: &LayerWeights) -> Result<FastLayer> {
        let config = &set.config;
        let (hidden, inner, shape) = (config.hidden_size, config.intermediate_size, config.attention_shape());
        let matrix = |matrix, n, k| self.matrix(matrix, [n, k], |row| row);
        Ok(FastLayer {
            input_norm: self.vector(&layer.input_norm)?,
            qkv: matrix(&layer.qkv, shape.qkv(), hidden)?,
            qkv_bias: layer.qkv_bias.as_ref().map(|bias| self.vector(bias)).transpose()?,
            head_norms: match &layer.head_norms {
                Some([q, k]) => Some([self.vector(q)?, self.vector(k)?]),
                None => None,
            },
            o: matrix(&layer.o, hidden, shape.q())?,
            post_norm: self.vector(&layer.post_norm)?,
            gate_up: self.matrix(&layer.gate_up, [2 * inner, hidden], pair(inner))?,
            down: matrix(&layer.down, hidden, inner)?,
        })
    }
}

/// The rows `[n, k]` of a packed matrix.
fn rows<T: WithDType + Default>(
    matrix: &Matrix,
    [n, k]: [usize; 2],
    packed: impl Fn(usize) -> usize + Sync,
    narrow: impl Fn(f32) -> T + Sync,
) -> Vec<T> {
    let mut all = vec![T::default(); n * k];
    Par::Pool.rows(&mut all, k, SERIAL_ELEMENTS, |first, rows| {
        let mut wide = vec![0.0; k];
        for (index, row) in rows.chunks_exact_mut(k).enumerate() {
            matrix.row_into(packed(first + index), &mut wide);
            for (slot, value) in row.iter_mut().zip(&wide) {
                *slot = narrow(*value);
            }
        }
    });
    all
}
