//! Matrix products. One kernel family serves `X · Wᵀ` (forward), `dY · W` (input gradient) and `dYᵀ · X` (weight
//! gradient), with fixed order of summation: an output never depends on other rows, on blocking, or on threads.
#![allow(unsafe_code)]

mod kernel;
mod panels;

#[cfg(test)]
mod tests;

pub(crate) use kernel::PANEL;
pub(crate) use panels::Panels;

use std::ops::Range;

use super::par::{Disjoint, Par};
use super::simd::{Isa, isa};
use kernel::{MAX_ROWS, Tile, tile_shape};

/// Terms of a pass; partial sums wait in C between passes, which does not change them.
const K_BLOCK: usize = 256;
/// Rows of a task.
const ROW_BLOCK: usize = 240;
/// Rows of a task below which columns are split instead.
const LEAST_ROWS: usize = 48;
/// A task has about so many multiply-adds at most, so that others get the core within a few milliseconds.
const TASK_WORK: usize = 48 << 20;
/// Products below so many multiply-adds stay on one thread.
const SERIAL_WORK: usize = 1 << 20;

/// A strided left operand: element (row, k) is at `row * row_stride + k * k_stride`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct View<'a> {
    /// The elements.
    pub(crate) values: &'a [f32],
    /// Distance of rows.
    pub(crate) row_stride: usize,
    /// Distance of k.
    pub(crate) k_stride: usize,
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
}

/// `C = A · B`, or `C += A · B` with `accumulate` (the chains then start from C). C is `[rows, b.n]` row-major.
///
/// # Panics
/// If an operand is too short.
pub(crate) fn gemm(par: Par, rows: usize, a: View<'_>, b: &Panels, c: &mut [f32], accumulate: bool) {
    assert_eq!(c.len(), rows * b.n, "output shape");
    if rows == 0 || b.n == 0 {
        return;
    }
    if b.k == 0 {
        if !accumulate {
            c.fill(0.0);
        }
        return;
    }
    assert!(
        a.row_stride == 1 || a.k_stride == 1,
        "a left operand is contiguous in its rows or in k"
    );
    assert!(
        a.values.len() > (rows - 1) * a.row_stride + (b.k - 1) * a.k_stride,
        "left operand too short"
    );
    assert_eq!(
        b.values.len(),
        b.n.div_ceil(PANEL) * PANEL * b.k,
        "packed operand shape"
    );
    let set = isa();
    let work = rows * b.n * b.k;
    let groups = b.n.div_ceil(PANEL * tile_shape().1);
    let wanted = if work < SERIAL_WORK {
        1
    } else {
        (4 * par.threads()).max(work / TASK_WORK)
    };
    // The left operand is packed once per column task, so rows are split first.
    let row_tasks = rows.div_ceil(rows.div_ceil(wanted).clamp(LEAST_ROWS, ROW_BLOCK));
    let column_tasks = if par.threads() == 1 {
        1
    } else {
        wanted.div_ceil(row_tasks).min(groups)
    };
    let out = Disjoint::new(c);
    let par = if work < SERIAL_WORK { Par::Serial } else { par };
    par.each(row_tasks * column_tasks, |task| {
        let (row_task, column_task) = (task % row_tasks, task / row_tasks);
        let row_range = rows * row_task / row_tasks..rows * (row_task + 1) / row_tasks;
        let group_range = groups * column_task / column_tasks..groups * (column_task + 1) / column_tasks;
        // SAFETY: the operands' lengths are checked above, and each task writes its own rows and columns of C only.
        unsafe { block(set, row_range, group_range, a, b, out.pointer(), accumulate) };
    });
}

/// One task: a range of rows times a range of panel groups.
///
/// # Safety
/// The shapes hold as `gemm` checks them, and nothing else accesses these rows and columns of C.
unsafe fn block(
    set: Isa,
    rows: Range<usize>,
    groups: Range<usize>,
    a: View<'_>,
    b: &Panels,
    c: *mut f32,
    accumulate: bool,
) {
    let (most_rows, group) = tile_shape();
    let tiles = rows.len().div_ceil(most_rows);
    let k_block = if tiles == 1 { b.k } else { K_BLOCK };
    let panels = b.n.div_ceil(PANEL);
    let mut packed = Vec::new();
    for k0 in (0..b.k).step_by(k_block) {
        let terms = k0..(k0 + k_block).min(b.k);
        let resume = accumulate || k0 > 0;
        pack(a, &rows, tiles, terms.clone(), &mut packed);
        for panel in groups.clone().map(|g| g * group) {
            let count = group.min(panels - panel);
            let width = (count * PANEL).min(b.n - panel * PANEL);
            let columns = [panel, panel + count - 1].map(|panel| &b.panel(panel)[terms.clone()]);
            let mut left = packed.as_slice();
            for tile in tile_rows(&rows, tiles) {
                let (a, others) = left.split_at(tile.len() * terms.len());
                left = others;
                let height = tile.len();
                let tile = Tile {
                    a,
                    b: columns,
                    c: c.wrapping_add(tile.start * b.n + panel * PANEL),
                    c_stride: b.n,
                    resume,
                };
                // SAFETY: within the output; an incomplete tile goes through a buffer of its own.
                unsafe {
                    if width == count * PANEL {
                        kernel::run(set, height, count, tile);
                    } else {
                        ragged(set, height, count, width, tile);
                    }
                }
            }
        }
    }
}

/// Splits rows evenly into tiles.
fn tile_rows(rows: &Range<usize>, tiles: usize) -> impl ExactSizeIterator<Item = Range<usize>> + use<> {
    let (start, len) = (rows.start, rows.len());
    (0..tiles).map(move |t| start + len * t / tiles..start + len * (t + 1) / tiles)
}

/// Copies rows of `a`, tile by tile, to `[terms, rows of the tile]`, as the kernels read them. In place, the rows of a
/// wide matrix share few sets of the first-level cache, and every panel would fetch them again.
fn pack(a: View<'_>, rows: &Range<usize>, tiles: usize, terms: Range<usize>, out: &mut Vec<f32>) {
    out.resize(rows.len() * terms.len(), 0.0);
    let mut left = out.as_mut_slice();
    for tile in tile_rows(rows, tiles) {
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

/// A tile at the right edge, whose last panel has fewer than 16 outputs.
///
/// # Safety
/// As [`kernel::run`], with only `width` outputs per row valid.
unsafe fn ragged(set: Isa, rows: usize, panels: usize, width: usize, tile: Tile<'_>) {
    const STRIDE: usize = 2 * PANEL;
    let mut buffer = [0.0_f32; MAX_ROWS * STRIDE];
    let edge = |r: usize| tile.c.wrapping_add(r * tile.c_stride);
    // SAFETY: `width` outputs per row are valid in C, and the buffer holds the whole tile.
    unsafe {
        if tile.resume {
            for r in 0..rows {
                std::ptr::copy_nonoverlapping(edge(r), buffer.as_mut_ptr().wrapping_add(r * STRIDE), width);
            }
        }
        kernel::run(
            set,
            rows,
            panels,
            Tile {
                c: buffer.as_mut_ptr(),
                c_stride: STRIDE,
                ..tile
            },
        );
        for r in 0..rows {
            std::ptr::copy_nonoverlapping(buffer.as_ptr().wrapping_add(r * STRIDE), edge(r), width);
        }
    }
}
