//! A matrix packed in panels of 32 columns, the layout that the product kernels read.

use super::element::{HALF, PANEL, Row, Wide, Words};
use crate::ops::norm::SERIAL_ELEMENTS;
use crate::ops::par::Par;

/// A `[k, n]` matrix as `[panels, k]` rows of 32 columns, the last panel padded with zeros.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Panels<T = Wide> {
    /// Rows: terms of each output's sum.
    pub(crate) k: usize,
    /// Columns: outputs.
    pub(crate) n: usize,
    /// The panels.
    pub(super) rows: Vec<T>,
}

/// Which column of a panel's source each lane takes, by its index among all columns.
type Columns = fn(panel: usize, lane: usize, n: usize) -> Option<usize>;

impl<T: Row> Panels<T> {
    /// Packs weights `[n_i, k]` (row-major, stacked along n) for `X · Wᵀ`, each element rounded to `T`.
    pub(crate) fn from_weights(parts: &[&[f32]], k: usize) -> Self {
        Self::gather(parts, k, |panel, lane, n| {
            let column = panel * PANEL + lane;
            (column < n).then_some(column)
        })
    }

    /// Packs two weights `[n, k]` so that each panel has 16 columns of the first beside the same 16 of the second.
    pub(crate) fn from_pair(parts: [&[f32]; 2], k: usize) -> Self {
        Self::gather(&parts, k, |panel, lane, n| {
            let column = panel * HALF + lane % HALF;
            (column < n / 2).then_some(lane / HALF * (n / 2) + column)
        })
    }

    fn gather(parts: &[&[f32]], k: usize, columns: Columns) -> Self {
        let weights: Vec<&[f32]> = parts.iter().flat_map(|part| part.chunks_exact(k)).collect();
        let n = weights.len();
        // A pair of odd widths is padded twice.
        let panels = (0..).take_while(|panel| columns(*panel, 0, n).is_some()).count();
        let mut rows = vec![T::default(); panels * k];
        Par::Pool.rows(&mut rows, k, SERIAL_ELEMENTS / PANEL, |first, rows| {
            let mut panel_rows = vec![Wide::default(); k];
            for (panel, rows) in rows.chunks_exact_mut(k).enumerate() {
                panel_rows.fill(Wide::default());
                for lane in 0..PANEL {
                    let Some(column) = columns(first + panel, lane, n) else {
                        continue;
                    };
                    for (row, value) in panel_rows.iter_mut().zip(weights[column]) {
                        row.0.as_flattened_mut()[lane] = *value;
                    }
                }
                for (row, wide) in rows.iter_mut().zip(&panel_rows) {
                    *row = T::store(wide);
                }
            }
        });
        Self { k, n, rows }
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.rows.len().checked_div(self.k).unwrap_or(0)
    }

    /// One panel, `[k]`.
    pub(super) fn panel(&self, panel: usize) -> &[T] {
        &self.rows[panel * self.k..][..self.k]
    }

    /// Column `column`, `[k]`, into `out`: a row of the weights that were packed by [`Self::from_weights`].
    pub(crate) fn column_into(&self, column: usize, out: &mut [f32]) {
        let lane = column % PANEL;
        for (slot, row) in out.iter_mut().zip(self.panel(column / PANEL)) {
            *slot = row.load().0[lane / HALF][lane % HALF];
        }
    }
}

impl Panels {
    /// Packs a row-major `[rows, n]` matrix in place of what this held: activations for `dW = dYᵀ · X`.
    pub(crate) fn refill(&mut self, par: Par, values: &[f32], n: usize) {
        self.refill_parts(par, &[values], n, false);
    }

    /// Packs `[k_i, n]` matrices (row-major, stacked along k) as they lie, each element rounded to bf16 if `rounds`: transposed
    /// weights for `dX = dY · W`.
    pub(crate) fn refill_parts(&mut self, par: Par, parts: &[&[f32]], n: usize, rounds: bool) {
        self.k = parts.iter().map(|part| part.len() / n).sum();
        self.n = n;
        self.rows.resize(n.div_ceil(PANEL) * self.k, Wide::default());
        let k = self.k;
        par.rows(&mut self.rows, k, SERIAL_ELEMENTS / PANEL, |first, panels| {
            for (index, panel) in panels.chunks_exact_mut(k).enumerate() {
                let mut rest = &mut *panel;
                for part in parts {
                    let (slots, behind) = rest.split_at_mut(part.len() / n);
                    fill_panel(slots, part, n, (first + index) * PANEL);
                    rest = behind;
                }
                if rounds {
                    panel.iter_mut().for_each(|row| *row = Words::store(row).load());
                }
            }
        });
    }
}

/// Copies columns `first..` of a row-major `[rows, n]` matrix into one panel.
fn fill_panel(panel: &mut [Wide], values: &[f32], n: usize, first: usize) {
    let width = PANEL.min(n - first);
    for (slot, row) in panel.iter_mut().zip(values.chunks_exact(n)) {
        let (columns, slot) = (&row[first..first + width], slot.0.as_flattened_mut());
        match (columns.first_chunk::<PANEL>(), slot.first_chunk_mut::<PANEL>()) {
            (Some(full), Some(slot)) => *slot = *full,
            _ => {
                slot[..width].copy_from_slice(columns);
                slot[width..].fill(0.0);
            }
        }
    }
}
