//! A matrix packed in panels of 32 columns, the layout that the product kernels read.
#![allow(unsafe_code)]

use std::mem::MaybeUninit;

use super::element::{HALF, PANEL, Row, Wide, Words};
use crate::ops::buffer::huge_pages;
use crate::ops::norm::SERIAL_ELEMENTS;
use crate::ops::par::{Disjoint, Par};

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

/// Rows of a panel that one thread writes at a time.
const PIECE_ROWS: usize = 4096;

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
        let mut rows = Vec::new();
        let fill = |panel: usize, first: usize, rows: &mut [MaybeUninit<T>]| {
            let sources: [_; PANEL] = std::array::from_fn(|lane| columns(panel, lane, n).map(|column| weights[column]));
            for (k, row) in (first..).zip(rows) {
                let mut wide = Wide::default();
                for (value, source) in wide.0.as_flattened_mut().iter_mut().zip(&sources) {
                    *value = source.map_or(0.0, |source| source[k]);
                }
                row.write(T::store(&wide));
            }
        };
        // SAFETY: each row is written.
        unsafe { written(Par::Pool, &mut rows, (panels, k), fill) };
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
        let fill = |panel: usize, mut first: usize, mut rows: &mut [MaybeUninit<Wide>]| {
            for part in parts {
                let skipped = first.min(part.len() / n);
                first -= skipped;
                let part = &part[skipped * n..];
                let (slots, behind) = rows.split_at_mut(rows.len().min(part.len() / n));
                fill_panel(slots, part, n, panel * PANEL, rounds);
                rows = behind;
            }
        };
        // SAFETY: the rows of all parts are `k`, and `fill_panel` writes a slot for each.
        unsafe { written(par, &mut self.rows, (n.div_ceil(PANEL), self.k), fill) };
    }
}

/// `panels` panels of `k` rows each, written in pieces by `fill(panel, first row, rows)`, in place of what `rows` held. The
/// memory is touched by the threads that write it: filled with anything before, it would all be touched on this one.
///
/// # Safety
/// `fill` writes every row that it is given.
unsafe fn written<T: Row>(
    par: Par,
    rows: &mut Vec<T>,
    (panels, k): (usize, usize),
    fill: impl Fn(usize, usize, &mut [MaybeUninit<T>]) + Sync,
) {
    let len = panels * k;
    rows.clear();
    if rows.capacity() < len {
        // The old memory first: the two need not be there together.
        *rows = Vec::new();
        rows.reserve_exact(len);
        huge_pages(rows);
    }
    let par = if len < SERIAL_ELEMENTS / PANEL {
        Par::Serial
    } else {
        par
    };
    let of_panel = k.div_ceil(PIECE_ROWS);
    let shared = Disjoint::new(&mut rows.spare_capacity_mut()[..len]);
    par.each(panels * of_panel, |piece| {
        let (panel, first) = (piece / of_panel, piece % of_panel * PIECE_ROWS);
        let end = k.min(first + PIECE_ROWS);
        // SAFETY: pieces are disjoint.
        fill(panel, first, unsafe { shared.part(panel * k + first..panel * k + end) });
    });
    // SAFETY: every row of the first `len` is in a piece, and `fill` has written it.
    unsafe { rows.set_len(len) };
}

/// Copies columns `first..` of a row-major `[rows, n]` matrix into one panel, each element rounded to bf16 if `rounds`.
fn fill_panel(panel: &mut [MaybeUninit<Wide>], values: &[f32], n: usize, first: usize, rounds: bool) {
    let width = PANEL.min(n - first);
    for (slot, row) in panel.iter_mut().zip(values.chunks_exact(n)) {
        let slot = slot.write(Wide::default());
        let (columns, lanes) = (&row[first..first + width], slot.0.as_flattened_mut());
        match (columns.first_chunk::<PANEL>(), lanes.first_chunk_mut::<PANEL>()) {
            (Some(full), Some(lanes)) => *lanes = *full,
            _ => lanes[..width].copy_from_slice(columns),
        }
        if rounds {
            *slot = Words::store(slot).load();
        }
    }
}
