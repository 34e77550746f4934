//! The left operand in the order in which the kernels read it: by tiles, `[k, rows of the tile]` each.
#![allow(unsafe_code)]

use std::cell::{Cell, RefCell};
use std::ops::Range;

use super::kernel::tile_height;
use crate::ops::norm::norm_rows;
use crate::ops::par::{Disjoint, Par};
use crate::ops::simd::{fetch, multiversion};

/// Elements below which packing stays on one thread.
const SERIAL_ELEMENTS: usize = 1 << 13;

/// Rows of a left operand, computed or copied as they are packed.
pub(crate) trait Rows: Sync {
    /// Writes rows `tile`, at most 12, to `out` as `[k, tile]`.
    fn pack(&self, tile: Range<usize>, out: &mut [f32]);
}

/// Tiles that a range of rows is cut into.
pub(super) fn tiles(rows: &Range<usize>) -> usize {
    rows.len().div_ceil(tile_height())
}

/// Splits rows evenly into tiles.
pub(super) fn tile_rows(rows: &Range<usize>, tiles: usize) -> impl ExactSizeIterator<Item = Range<usize>> + use<> {
    let (start, len) = (rows.start, rows.len());
    (0..tiles).map(move |t| start + len * t / tiles..start + len * (t + 1) / tiles)
}

/// A strided left operand: element (row, k) is at `row * row_stride + k * k_stride`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct View<'a> {
    values: &'a [f32],
    row_stride: usize,
    k_stride: usize,
}

impl<'a> View<'a> {
    /// A row-major `[rows, width]` matrix.
    pub(crate) fn rows(values: &'a [f32], width: usize) -> Self {
        Self {
            values,
            row_stride: width,
            k_stride: 1,
        }
    }

    /// The transpose of a row-major `[k, width]` matrix, from its column `first` on.
    pub(crate) fn columns(values: &'a [f32], width: usize, first: usize) -> Self {
        Self {
            values: values.get(first..).unwrap_or_default(),
            row_stride: 1,
            k_stride: width,
        }
    }

    /// The operand without its first terms.
    pub(super) fn terms(&self, first: usize) -> Self {
        let values = self.values.get(first * self.k_stride..).unwrap_or_default();
        Self { values, ..*self }
    }

    /// Columns `first..first + HEIGHT` of a matrix that is read transposed. Of known length, the copy of each row is a few
    /// moves instead of a call.
    fn pack_columns<const HEIGHT: usize>(&self, first: usize, out: &mut [f32]) {
        let rows = self.values.chunks(self.k_stride);
        assert!(out.len() / HEIGHT <= rows.len(), "an operand is too short");
        for (out, row) in out.as_chunks_mut::<HEIGHT>().0.iter_mut().zip(rows) {
            out.copy_from_slice(&row[first..first + HEIGHT]);
        }
    }
}

impl Rows for View<'_> {
    fn pack(&self, tile: Range<usize>, out: &mut [f32]) {
        let height = tile.len();
        if self.k_stride == 1 {
            transpose(
                &self.values[tile.start * self.row_stride..],
                self.row_stride,
                height,
                out,
            );
            return;
        }
        macro_rules! columns {
            ($($n:literal)*) => {
                match height {
                    $($n => self.pack_columns::<$n>(tile.start, out),)*
                    rows => unreachable!("no kernel takes {rows} rows"),
                }
            };
        }
        columns!(1 2 3 4 5 6 7 8 9 10 11 12);
    }
}

/// RMS-normed rows of a row-major `[rows, weight.len()]` matrix.
pub(crate) struct Normed<'a> {
    /// The matrix.
    pub(crate) x: &'a [f32],
    /// The norm's weight.
    pub(crate) weight: &'a [f32],
    /// The norm's epsilon.
    pub(crate) eps: f32,
}

thread_local! {
    /// Normed rows of a tile.
    static NORMED: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
    /// The buffer of the last [`Left`] that this thread dropped.
    static SPARE: Cell<Vec<f32>> = const { Cell::new(Vec::new()) };
}

impl Rows for Normed<'_> {
    fn pack(&self, tile: Range<usize>, out: &mut [f32]) {
        let width = self.weight.len();
        NORMED.with_borrow_mut(|normed| {
            normed.resize(tile.len() * width, 0.0);
            norm_rows(
                &self.x[tile.start * width..tile.end * width],
                self.weight,
                self.eps,
                normed,
            );
            transpose(normed, width, tile.len(), out);
        });
    }
}

/// Terms that are transposed before the next rows: what they are written to stays in the first-level cache.
const TRANSPOSE_TERMS: usize = 64;

multiversion! {
    /// Rows `[height]` of `stride` to `[k, height]`, `k` from the length of `out`.
    fn transpose(rows: &[f32], stride: usize, height: usize, out: &mut [f32]) {
        let k = out.len() / height;
        assert!(rows.len() >= (height - 1) * stride + k, "a row is too short");
        let squares = if height < 4 { 0 } else { k / 4 * 4 };
        for first in (0..squares).step_by(TRANSPOSE_TERMS) {
            let last = squares.min(first + TRANSPOSE_TERMS);
            // The rows may be in another core's cache.
            for r in 0..height {
                for line in (0..TRANSPOSE_TERMS).step_by(16) {
                    fetch(rows.as_ptr().wrapping_add(r * stride + last + line));
                }
            }
            // Four rows at a time; the last four overlap the ones before.
            for r in (0..height).step_by(4).map(|r| r.min(height - 4)) {
                for term in (first..last).step_by(4) {
                    // SAFETY: `r + 3` is a row and `term + 3` a term, so all of it lies within what was asserted.
                    unsafe {
                        let from = rows.as_ptr().add(r * stride + term).cast();
                        let to = out.as_mut_ptr().add(term * height + r).cast();
                        transpose_square((from, stride), (to, height));
                    }
                }
            }
        }
        for r in 0..height {
            let row = &rows[r * stride..][squares..k];
            for (out, x) in out[squares * height..].chunks_exact_mut(height).zip(row) {
                out[r] = *x;
            }
        }
    }
}

/// Transposes four rows of four, each side with its stride in values. In registers: a vector read back from single
/// stores would wait for them.
///
/// # Safety
/// Both sides have four rows of four values.
#[inline(always)]
unsafe fn transpose_square((from, stride): (*const [f32; 4], usize), (to, height): (*mut [f32; 4], usize)) {
    // SAFETY: promised by the caller; the values need no alignment beyond their own.
    let row = |i: usize| unsafe { *from.byte_add(i * stride * size_of::<f32>()) };
    let columns = square([row(0), row(1), row(2), row(3)]);
    for (j, column) in columns.into_iter().enumerate() {
        // SAFETY: as above.
        unsafe { *to.byte_add(j * height * size_of::<f32>()) = column };
    }
}

#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn square(rows: [[f32; 4]; 4]) -> [[f32; 4]; 4] {
    use std::arch::x86_64::{__m128, _mm_movehl_ps, _mm_movelh_ps, _mm_unpackhi_ps, _mm_unpacklo_ps};
    // SAFETY: four values and a vector of four have the same size, and SSE is part of the architecture.
    unsafe {
        let [a, b, c, d] = std::mem::transmute::<[[f32; 4]; 4], [__m128; 4]>(rows);
        let (low, low_after) = (_mm_unpacklo_ps(a, b), _mm_unpacklo_ps(c, d));
        let (high, high_after) = (_mm_unpackhi_ps(a, b), _mm_unpackhi_ps(c, d));
        std::mem::transmute([
            _mm_movelh_ps(low, low_after),
            _mm_movehl_ps(low_after, low),
            _mm_movelh_ps(high, high_after),
            _mm_movehl_ps(high_after, high),
        ])
    }
}

#[cfg(not(target_arch = "x86_64"))]
#[inline(always)]
fn square([a, b, c, d]: [[f32; 4]; 4]) -> [[f32; 4]; 4] {
    std::array::from_fn(|j| [a[j], b[j], c[j], d[j]])
}

/// All rows of a left operand, packed by row task.
pub(super) struct Left {
    values: Vec<f32>,
}

impl Left {
    /// Packs the rows of each of `tasks` tasks, `rows(task)`, a tile at a time.
    pub(super) fn pack(
        par: Par,
        a: &dyn Rows,
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
        let most = (0..tasks).map(|task| tiles(&rows(task))).max().unwrap_or(0);
        let out = Disjoint::new(&mut values);
        par.each(tasks * most, |piece| {
            let rows = rows(piece / most);
            if let Some(tile) = tile_rows(&rows, tiles(&rows)).nth(piece % most) {
                // SAFETY: tiles are disjoint.
                let out = unsafe { out.part(tile.start * k..tile.end * k) };
                a.pack(tile, out);
            }
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
