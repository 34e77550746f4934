//! A matrix packed in panels of 16 columns, the layout that the product kernels read.

use super::element::{Bf16, Element};
use super::kernel::PANEL;
use crate::ops::norm::SERIAL_ELEMENTS;
use crate::ops::par::Par;

/// A `[k, n]` matrix as `[ceil(n / 16), k, 16]`, the last panel padded with zeros.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Panels<T = f32> {
    /// Rows: terms of each output's sum.
    pub(crate) k: usize,
    /// Columns: outputs.
    pub(crate) n: usize,
    /// The panels.
    pub(crate) values: Vec<T>,
}

impl<T: Element> Panels<T> {
    /// Packs weights `[n_i, k]` (row-major, stacked along n) for `X · Wᵀ`, each element rounded to `T`.
    pub(crate) fn from_weights(parts: &[&[f32]], k: usize) -> Self {
        let rows: Vec<&[f32]> = parts.iter().flat_map(|part| part.chunks_exact(k)).collect();
        let mut packed = Self {
            k,
            n: rows.len(),
            values: vec![T::default(); rows.len().div_ceil(PANEL) * PANEL * k],
        };
        let stride = (k * PANEL).max(1);
        Par::Pool.rows(&mut packed.values, stride, SERIAL_ELEMENTS, |first, panels| {
            let columns = rows[first * PANEL..].chunks(PANEL);
            for (panel, columns) in panels.chunks_exact_mut(stride).zip(columns) {
                for (lane, column) in columns.iter().enumerate() {
                    for (slot, value) in panel.as_chunks_mut::<PANEL>().0.iter_mut().zip(*column) {
                        slot[lane] = T::narrow(*value);
                    }
                }
            }
        });
        packed
    }

    /// One panel, `[k, 16]`.
    pub(crate) fn panel(&self, panel: usize) -> &[[T; PANEL]] {
        self.values[panel * self.k * PANEL..][..self.k * PANEL].as_chunks().0
    }

    /// Column `column`, `[k]`, into `out`: a row of the weights that were packed.
    pub(crate) fn column_into(&self, column: usize, out: &mut [f32]) {
        let (panel, lane) = (column / PANEL, column % PANEL);
        let panel = &self.values[panel * self.k * PANEL..(panel + 1) * self.k * PANEL];
        for (slot, value) in out.iter_mut().zip(panel.as_chunks::<PANEL>().0) {
            *slot = T::widen(value)[lane];
        }
    }
}

impl Panels {
    /// Packs `[k_i, n]` matrices (row-major, stacked along k) as they lie: transposed weights for `dX = dY · W`.
    pub(crate) fn from_rows(parts: &[&[f32]], n: usize) -> Self {
        let mut packed = Self::default();
        packed.k = parts.iter().map(|part| part.len() / n).sum();
        packed.n = n;
        packed.values = vec![0.0; n.div_ceil(PANEL) * PANEL * packed.k];
        let rows = parts.iter().flat_map(|part| part.chunks_exact(n));
        for (k, row) in rows.enumerate() {
            for (panel, columns) in row.chunks(PANEL).enumerate() {
                let at = (panel * packed.k + k) * PANEL;
                packed.values[at..at + columns.len()].copy_from_slice(columns);
            }
        }
        packed
    }

    /// Each element rounded to bf16, in f32.
    pub(crate) fn rounded(mut self) -> Self {
        for row in self.values.as_chunks_mut().0 {
            *row = Bf16::widen(&row.map(Bf16::narrow));
        }
        self
    }

    /// Packs a row-major `[rows, n]` matrix in place of what this held: activations for `dW = dYᵀ · X`.
    pub(crate) fn refill(&mut self, par: Par, rows: &[f32], n: usize) {
        self.k = rows.len() / n;
        self.n = n;
        self.values.resize(n.div_ceil(PANEL) * PANEL * self.k, 0.0);
        let stride = self.k * PANEL;
        par.rows(&mut self.values, stride, SERIAL_ELEMENTS, |first, panels| {
            for (index, panel) in panels.chunks_exact_mut(stride).enumerate() {
                fill_panel(panel, rows, n, (first + index) * PANEL);
            }
        });
    }
}

/// Copies columns `first..` of a row-major `[rows, n]` matrix into one panel.
fn fill_panel(panel: &mut [f32], rows: &[f32], n: usize, first: usize) {
    let width = PANEL.min(n - first);
    let rows = rows.chunks_exact(n).map(|row| &row[first..first + width]);
    for (slot, columns) in panel.as_chunks_mut::<PANEL>().0.iter_mut().zip(rows) {
        match columns.first_chunk::<PANEL>() {
            Some(full) => *slot = *full,
            None => {
                slot[..width].copy_from_slice(columns);
                slot[width..].fill(0.0);
            }
        }
    }
}
