//! Matrix products. One kernel family serves `X · Wᵀ` (forward), `dY · W` (input gradient) and `dYᵀ · X` (weight
//! gradient), with fixed order of summation: an output never depends on other rows, on blocking, or on threads.
#![allow(unsafe_code)]

mod block;
mod element;
mod kernel;
mod left;
mod matrix;
mod panels;

#[cfg(test)]
mod tests;

pub(crate) use kernel::PANEL;
pub(crate) use matrix::Matrix;
pub(crate) use panels::Panels;

use super::par::{Disjoint, Par};
use super::simd::isa;
use block::Product;
use element::Element;
use kernel::tile_shape;
use left::Left;

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
pub(crate) fn gemm<T: Element>(par: Par, rows: usize, a: View<'_>, b: &Panels<T>, c: &mut [f32], accumulate: bool) {
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
    let work = rows * b.n * b.k;
    let groups = b.n.div_ceil(PANEL * tile_shape().1);
    let wanted = if work < SERIAL_WORK {
        1
    } else {
        (4 * par.threads()).max(work / TASK_WORK)
    };
    let par = if work < SERIAL_WORK { Par::Serial } else { par };
    let row_tasks = rows.div_ceil(rows.div_ceil(wanted).clamp(LEAST_ROWS, ROW_BLOCK));
    let column_tasks = if par.threads() == 1 {
        1
    } else {
        wanted.div_ceil(row_tasks).min(groups)
    };
    let row_range = |task: usize| rows * task / row_tasks..rows * (task + 1) / row_tasks;
    // Rows that many column tasks read are packed once for all of them.
    let left = (column_tasks > 1).then(|| Left::pack(par, a, row_tasks, row_range, b.k));
    let out = Disjoint::new(c);
    par.each(row_tasks * column_tasks, |task| {
        let (row_task, column_task) = (task % row_tasks, task / row_tasks);
        let product = Product {
            set: isa(),
            rows: row_range(row_task),
            a,
            b,
            c: out.pointer(),
            accumulate,
        };
        let groups = groups * column_task / column_tasks..groups * (column_task + 1) / column_tasks;
        let rows = product.rows.clone();
        // SAFETY: the operands' lengths are checked above, and each task writes its own rows and columns of C only.
        unsafe { product.run(groups, left.as_ref().map(|left| left.rows(rows, b.k))) };
    });
}
