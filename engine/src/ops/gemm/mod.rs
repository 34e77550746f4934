//! Matrix products. One kernel family serves `X · Wᵀ` (forward), `dY · W` (input gradient) and `dYᵀ · X` (weight
//! gradient), with fixed order of summation: an output never depends on other rows, on blocking, or on threads.

mod block;
mod element;
mod kernel;
mod left;
mod matrix;
mod panels;
mod sink;

#[cfg(test)]
mod tests;

pub(crate) use element::{HALF, PANEL, Wide, round_bf16, word_of};
pub(crate) use left::{Normed, Rows, View};
pub(crate) use matrix::Matrix;
pub(crate) use panels::Panels;
pub(crate) use sink::Sink;

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

use super::par::Par;
use block::Product;
use element::Row;
use left::Left;
use sink::Plain;

/// Rows of a task.
const ROW_BLOCK: usize = 120;
/// Most terms of a product of two matrices in memory: what a thread packs before it computes stays small beside that.
const MOST_TERMS: usize = 4096;
/// About the most multiply-adds of a task: a core that the team lends is free after some 3 ms.
const MOST_WORK: usize = 1 << 27;
/// Threads up to which each packs the left operand for itself.
const MOST_PRIVATE: usize = 4;
/// Products below so many multiply-adds stay on one thread.
const SERIAL_WORK: usize = 1 << 18;

/// `C = A · B`, or `C += A · B` with `accumulate` (the chains then start from C). C is `[rows, b.n]` row-major.
///
/// # Panics
/// If an operand is too short.
pub(crate) fn gemm<T: Row>(par: Par, rows: usize, a: View<'_>, b: &Panels<T>, c: &mut [f32], accumulate: bool) {
    assert_eq!(c.len(), rows * b.n, "output shape");
    if b.k == 0 && !accumulate {
        c.fill(0.0);
    }
    // A chain that waits in C between two products goes on as if it had not.
    for first in (0..b.k).step_by(MOST_TERMS) {
        let (terms, accumulate) = (first..b.k.min(first + MOST_TERMS), accumulate || first > 0);
        product(par, rows, &a.terms(first), b, terms, &Plain::new(c, b.n, accumulate));
    }
}

/// `A · B` over some `terms` into `out`; `a` has these terms only.
fn product<T: Row>(par: Par, rows: usize, a: &dyn Rows, b: &Panels<T>, terms: Range<usize>, out: &dyn Sink) {
    let (panels, k) = (b.count(), terms.len());
    let work = rows * panels * PANEL * k;
    if work == 0 {
        return;
    }
    let par = if work < SERIAL_WORK { Par::Serial } else { par };
    let wanted = match par.threads() {
        1 => 1,
        threads => 4 * threads,
    };
    let row_tasks = rows.div_ceil(ROW_BLOCK);
    let small = if wanted == 1 { 1 } else { work.div_ceil(MOST_WORK) };
    let column_tasks = wanted.max(small).div_ceil(row_tasks).min(panels);
    let row_range = |task: usize| rows * task / row_tasks..rows * (task + 1) / row_tasks;
    // Few threads pack the rows each for itself, which is less work than fetching them from another core's cache; many
    // share what they pack.
    let shared = column_tasks > 1 && par.threads() > MOST_PRIVATE;
    let left = shared.then(|| Left::pack(par, a, row_tasks, row_range, k));
    static NUMBERS: AtomicU64 = AtomicU64::new(0);
    let number = NUMBERS.fetch_add(1, Ordering::Relaxed);
    par.each(row_tasks * column_tasks, |task| {
        // Neighbours have the same rows, which a thread then packs once.
        let (row_task, column_task) = (task / column_tasks, task % column_tasks);
        let rows = row_range(row_task);
        let product = Product {
            number,
            rows: rows.clone(),
            terms: terms.clone(),
            a,
            b,
            out,
        };
        let panels = panels * column_task / column_tasks..panels * (column_task + 1) / column_tasks;
        product.run(panels, left.as_ref().map(|left| left.rows(rows, k)));
    });
}
