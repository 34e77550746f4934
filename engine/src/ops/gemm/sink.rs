//! Where the outputs of a product go, a panel at a time while it is still in the first-level cache.
#![allow(unsafe_code)]

use std::ops::Range;

use super::element::{HALF, PANEL, Wide};
use crate::ops::elementwise::swiglu_strip;
use crate::ops::par::Disjoint;
use crate::ops::simd::multiversion;

/// Takes the outputs of a product. Each panel of each row comes once, on any thread.
pub(crate) trait Sink: Sync {
    /// Puts what the chains of `rows` start from into `sums`; false if they start from 0.
    fn start(&self, _rows: Range<usize>, _panel: usize, _sums: &mut [Wide]) -> bool {
        false
    }

    /// Takes the outputs of `rows` in columns `32 panel ..`.
    fn finish(&self, rows: Range<usize>, panel: usize, sums: &mut [Wide]);
}

/// A row-major `[rows, n]` matrix that takes the outputs as they are.
pub(super) struct Plain<'a> {
    out: Disjoint<'a, f32>,
    n: usize,
    /// Chains start from what the matrix holds.
    accumulate: bool,
    /// What is added in the end, `[rows, n]`, or nothing.
    residual: &'a [f32],
}

impl<'a> Plain<'a> {
    pub(super) fn new(out: &'a mut [f32], n: usize, accumulate: bool) -> Self {
        Self {
            out: Disjoint::new(out),
            n,
            accumulate,
            residual: &[],
        }
    }

    /// Adds `residual` to the finished sums.
    pub(super) fn onto(out: &'a mut [f32], n: usize, residual: &'a [f32]) -> Self {
        Self {
            residual,
            ..Self::new(out, n, false)
        }
    }

    /// The elements of `row` in `panel`.
    fn at(&self, row: usize, panel: usize) -> Range<usize> {
        let first = panel * PANEL;
        row * self.n + first..row * self.n + (first + PANEL).min(self.n)
    }
}

impl Sink for Plain<'_> {
    fn start(&self, rows: Range<usize>, panel: usize, sums: &mut [Wide]) -> bool {
        if self.accumulate {
            for (row, sums) in rows.zip(sums) {
                // SAFETY: only this call touches these rows and columns.
                let out = unsafe { self.out.part(self.at(row, panel)) };
                sums.0.as_flattened_mut()[..out.len()].copy_from_slice(out);
            }
        }
        self.accumulate
    }

    fn finish(&self, rows: Range<usize>, panel: usize, sums: &mut [Wide]) {
        let at = self.at(rows.start, panel);
        let window = Window {
            out: &self.out,
            columns: at.len(),
            first: at.start,
            stride: self.n,
        };
        put(sums, window, self.residual);
    }
}

/// Columns of successive rows of an output. Only the call that it is made for touches these elements.
struct Window<'a> {
    out: &'a Disjoint<'a, f32>,
    columns: usize,
    /// Element of the first row and column.
    first: usize,
    /// From row to row.
    stride: usize,
}

impl Window<'_> {
    /// Elements of row `i`.
    #[inline(always)]
    fn row(&self, i: usize) -> Range<usize> {
        let at = self.first + i * self.stride;
        at..at + self.columns
    }
}

multiversion! {
    /// Writes the first columns of each row, and adds `residual`, shaped as the output, where there is one.
    fn put(sums: &[Wide], window: Window<'_>, residual: &[f32]) {
        for (i, sums) in sums.iter().enumerate() {
            let at = window.row(i);
            // SAFETY: as a window promises.
            let out = unsafe { window.out.part(at.clone()) };
            if let Some(residual) = residual.get(at) {
                for ((out, sum), residual) in out.iter_mut().zip(sums.0.as_flattened()).zip(residual) {
                    *out = residual + sum;
                }
            } else if let [low, high] = out.as_chunks_mut::<HALF>().0 {
                // Of known length: a few moves instead of a call.
                [*low, *high] = sums.0;
            } else {
                out.copy_from_slice(&sums.0.as_flattened()[..out.len()]);
            }
        }
    }

    /// Writes the first columns of one half of each row.
    fn put_half(sums: &[Wide], side: usize, window: Window<'_>) {
        for (i, sums) in sums.iter().enumerate() {
            // SAFETY: as a window promises.
            let out = unsafe { window.out.part(window.row(i)) };
            let half = &sums.0[side];
            match <&mut [f32; HALF]>::try_from(&mut *out) {
                Ok(out) => *out = *half,
                Err(_) => out.copy_from_slice(&half[..out.len()]),
            }
        }
    }
}

/// Takes panels of 16 gates beside their 16 ups, and gives `silu(gate) · up`.
pub(super) struct Gated<'a> {
    /// `[rows, width]`.
    out: Disjoint<'a, f32>,
    /// Rows `[gate | up]`, `[rows, 2 · width]`, if the backward wants them.
    kept: Option<Disjoint<'a, f32>>,
    width: usize,
}

impl<'a> Gated<'a> {
    pub(super) fn new(out: &'a mut [f32], kept: Option<&'a mut [f32]>, width: usize) -> Self {
        Self {
            out: Disjoint::new(out),
            kept: kept.map(Disjoint::new),
            width,
        }
    }
}

impl Sink for Gated<'_> {
    fn finish(&self, rows: Range<usize>, panel: usize, sums: &mut [Wide]) {
        let first = panel * HALF;
        let columns = HALF.min(self.width - first);
        if let Some(kept) = &self.kept {
            for side in 0..2 {
                let window = Window {
                    out: kept,
                    columns,
                    first: (2 * rows.start + side) * self.width + first,
                    stride: 2 * self.width,
                };
                put_half(sums, side, window);
            }
        }
        swiglu_strip(sums);
        let window = Window {
            out: &self.out,
            columns,
            first: rows.start * self.width + first,
            stride: self.width,
        };
        put_half(sums, 0, window);
    }
}
