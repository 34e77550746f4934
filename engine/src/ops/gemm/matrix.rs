//! Weights as products read them, in either precision.

use super::element::Bf16;
use super::{Panels, View, gemm};
use crate::config::Precision;
use crate::ops::par::Par;

/// A packed weight matrix `[n, k]`.
#[derive(Debug, PartialEq)]
pub(crate) enum Matrix {
    F32(Panels<f32>),
    Bf16(Panels<Bf16>),
}

/// Runs `$body` with `$panels` bound to the panels of either precision.
macro_rules! either {
    ($matrix:expr, $panels:ident => $body:expr) => {
        match $matrix {
            Matrix::F32($panels) => $body,
            Matrix::Bf16($panels) => $body,
        }
    };
}

impl Matrix {
    /// Packs weights `[n_i, k]` (row-major, stacked along n).
    pub(crate) fn pack(precision: Precision, parts: &[&[f32]], k: usize) -> Self {
        match precision {
            Precision::F32 => Self::F32(Panels::from_weights(parts, k)),
            Precision::Bf16 => Self::Bf16(Panels::from_weights(parts, k)),
        }
    }

    /// No rows and no columns.
    pub(crate) fn empty() -> Self {
        Self::F32(Panels::default())
    }

    /// `out = X · Wᵀ` for `X` `[rows, k]`; `out` is `[rows, n]`.
    ///
    /// # Panics
    /// If an operand is too short.
    pub(crate) fn project(&self, par: Par, rows: usize, x: &[f32], out: &mut [f32]) {
        either!(self, panels => gemm(par, rows, View::rows(x, panels.k), panels, out, false));
    }

    /// Row `row` of the weights, `[k]`, into `out`.
    pub(crate) fn row_into(&self, row: usize, out: &mut [f32]) {
        either!(self, panels => panels.column_into(row, out));
    }

    /// Bytes held.
    pub(crate) fn bytes(&self) -> usize {
        either!(self, panels => size_of_val(panels.values.as_slice()))
    }
}
