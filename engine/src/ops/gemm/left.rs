//! The left operand in the order in which the kernels read it.
#![allow(unsafe_code)]

use std::cell::Cell;
use std::ops::Range;

use super::View;
use super::kernel::{MAX_ROWS, tile_shape};
use crate::ops::par::{Disjoint, Par};

/// Most terms of a pass; partial sums wait in C between passes, which does not change them.
const K_BLOCK: usize = 128;
/// Elements below which packing stays on one thread.
const SERIAL_ELEMENTS: usize = 1 << 15;

/// Tiles that a range of rows is cut into.
pub(super) fn tiles(rows: &Range<usize>) -> usize {
    rows.len().div_ceil(tile_shape().0)
}

/// Terms of a pass over a range of rows: passes are equally long, and a single tile stays in registers over all of k.
pub(super) fn k_block(rows: &Range<usize>, k: usize) -> usize {
    if tiles(rows) == 1 {
        k
    } else {
        k.div_ceil(k.div_ceil(K_BLOCK))
    }
}

/// Splits rows evenly into tiles.
pub(super) fn tile_rows(rows: &Range<usize>, tiles: usize) -> impl ExactSizeIterator<Item = Range<usize>> + use<> {
    let (start, len) = (rows.start, rows.len());
    (0..tiles).map(move |t| start + len * t / tiles..start + len * (t + 1) / tiles)
}

thread_local! {
    /// The buffer of the last [`Left`] that this thread dropped.
    static SPARE: Cell<Vec<f32>> = const { Cell::new(Vec::new()) };
}

/// All rows of a left operand, packed by row task and block of k.
pub(super) struct Left {
    values: Vec<f32>,
}

impl Left {
    /// Packs the rows of each task, `rows(task)`, over all of k.
    pub(super) fn pack(
        par: Par,
        a: View<'_>,
        tasks: usize,
        rows: impl Fn(usize) -> Range<usize> + Sync,
        k: usize,
    ) -> Self {
        let mut values = SPARE.take();
        values.resize(rows(tasks - 1).end * k, 0.0);
        let par = if values.len() < SERIAL_ELEMENTS {
            Par::Serial
        } else {
            par
        };
        let blocks = k.div_ceil(K_BLOCK);
        let out = Disjoint::new(&mut values);
        par.each(tasks * blocks, |piece| {
            let (rows, block) = (rows(piece / blocks), piece % blocks);
            let length = k_block(&rows, k);
            let terms = block * length..((block + 1) * length).min(k);
            if terms.is_empty() {
                return;
            }
            let at = rows.start * k + terms.start * rows.len();
            // SAFETY: pieces are disjoint.
            let out = unsafe { out.part(at..at + terms.len() * rows.len()) };
            pack(a, &rows, terms, out);
        });
        Self { values }
    }

    /// What was packed of a task's rows.
    pub(super) fn rows(&self, rows: Range<usize>, k: usize) -> &[f32] {
        &self.values[rows.start * k..rows.end * k]
    }
}

impl Drop for Left {
    fn drop(&mut self) {
        SPARE.set(std::mem::take(&mut self.values));
    }
}

/// Copies rows of `a`, tile by tile, to `[terms, rows of the tile]`, as the kernels read them; `out` is `[terms · rows]`. In place, the rows of a
/// wide matrix share few sets of the first-level cache, and every panel would fetch them again.
pub(super) fn pack(a: View<'_>, rows: &Range<usize>, terms: Range<usize>, out: &mut [f32]) {
    let mut left = out;
    for tile in tile_rows(rows, tiles(rows)) {
        let (part, others) = left.split_at_mut(tile.len() * terms.len());
        left = others;
        if a.row_stride == 1 {
            for (k, out) in terms.clone().zip(part.chunks_exact_mut(tile.len())) {
                let row = &a.values[k * a.k_stride..][tile.clone()];
                // Of known length, the copy is a few moves instead of a call.
                match (
                    <&[f32; MAX_ROWS]>::try_from(row),
                    <&mut [f32; MAX_ROWS]>::try_from(&mut *out),
                ) {
                    (Ok(row), Ok(out)) => *out = *row,
                    _ => out.copy_from_slice(row),
                }
            }
        } else {
            for (r, row) in tile.clone().enumerate() {
                let row = &a.values[row * a.row_stride..][terms.clone()];
                for (out, x) in part[r..].iter_mut().step_by(tile.len()).zip(row) {
                    *out = *x;
                }
            }
        }
    }
}
