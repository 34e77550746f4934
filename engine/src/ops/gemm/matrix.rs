//! Weights as products read them, in either precision.

use super::element::{HALF, PANEL, Wide, Words};
use super::left::Rows;
use super::sink::{Gated, Plain, Sink};
use super::{Panels, product};
use crate::config::Precision;
use crate::ops::par::Par;

/// A packed weight matrix `[n, k]`.
#[derive(Debug, PartialEq)]
pub(crate) enum Matrix {
    F32(Panels<Wide>),
    Bf16(Panels<Words>),
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

    /// Packs gate and up, `[n, k]` each, for [`Self::project_gated`].
    pub(crate) fn pack_pair(precision: Precision, parts: [&[f32]; 2], k: usize) -> Self {
        match precision {
            Precision::F32 => Self::F32(Panels::from_pair(parts, k)),
            Precision::Bf16 => Self::Bf16(Panels::from_pair(parts, k)),
        }
    }

    /// No rows and no columns.
    pub(crate) fn empty() -> Self {
        Self::F32(Panels::default())
    }

    /// `out = X · Wᵀ` for `X` `[rows, k]`; `out` is `[rows, n]`.
    pub(crate) fn project(&self, par: Par, rows: usize, x: &dyn Rows, out: &mut [f32]) {
        self.run(par, rows, x, &Plain::new(out, self.n(), false));
    }

    /// `out = residual + X · Wᵀ`, both `[rows, n]`.
    pub(crate) fn project_onto(&self, par: Par, rows: usize, x: &dyn Rows, residual: &[f32], out: &mut [f32]) {
        assert_eq!(residual.len(), out.len(), "shape of the residual");
        self.run(par, rows, x, &Plain::onto(out, self.n(), residual));
    }

    /// `out = silu(X · Gᵀ) · (X · Uᵀ)`, `[rows, n / 2]`, and the two products `[rows, n]` into `kept`, for a pair.
    pub(crate) fn project_gated(&self, par: Par, rows: usize, x: &dyn Rows, out: &mut [f32], kept: Option<&mut [f32]>) {
        self.run(par, rows, x, &Gated::new(out, kept, self.n() / 2));
    }

    fn run(&self, par: Par, rows: usize, x: &dyn Rows, sink: &dyn Sink) {
        either!(self, panels => product(par, rows, x, panels, 0..panels.k, sink));
    }

    fn n(&self) -> usize {
        either!(self, panels => panels.n)
    }

    /// Row `row` of the weights, `[k]`, into `out`.
    pub(crate) fn row_into(&self, row: usize, out: &mut [f32]) {
        either!(self, panels => panels.column_into(row, out));
    }

    /// Row `row` of the first or the second of two weights that were packed by [`Self::pack_pair`], `[k]`, into `out`.
    pub(crate) fn pair_row_into(&self, second: bool, row: usize, out: &mut [f32]) {
        self.row_into(row / HALF * PANEL + usize::from(second) * HALF + row % HALF, out);
    }

    /// Bytes held.
    pub(crate) fn bytes(&self) -> usize {
        either!(self, panels => size_of_val(panels.rows.as_slice()))
    }
}
