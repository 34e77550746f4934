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
        for (row, sums) in rows.zip(sums) {
            let at = self.at(row, panel);
            // SAFETY: only this call touches these rows and columns.
            let out = unsafe { self.out.part(at.clone()) };
            if self.residual.is_empty() {
                put(sums, out);
            } else {
                put_onto(sums, &self.residual[at], out);
            }
        }
    }
}

multiversion! {
    /// The first columns of a row.
    fn put(sums: &Wide, out: &mut [f32]) {
        let sums = sums.0.as_flattened();
        match <&mut [f32; PANEL]>::try_from(&mut *out) {
            // Of known length: a few moves instead of a call.
            Ok(out) => out.copy_from_slice(sums),
            Err(_) => out.copy_from_slice(&sums[..out.len()]),
        }
    }

    /// The first columns of a row, added to `residual`.
    fn put_onto(sums: &Wide, residual: &[f32], out: &mut [f32]) {
        for ((out, sum), residual) in out.iter_mut().zip(sums.0.as_flattened()).zip(residual) {
            *out = residual + sum;
        }
    }

    /// The first columns of a half.
    fn put_half(half: &[f32; HALF], out: &mut [f32]) {
        match <&mut [f32; HALF]>::try_from(&mut *out) {
            Ok(out) => *out = *half,
            Err(_) => out.copy_from_slice(&half[..out.len()]),
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
            for (row, sums) in rows.clone().zip(&*sums) {
                for (side, half) in sums.0.iter().enumerate() {
                    let at = (2 * row + side) * self.width + first;
                    // SAFETY: only this call touches these rows and columns.
                    put_half(half, unsafe { kept.part(at..at + columns) });
                }
            }
        }
        swiglu_strip(sums);
        for (row, sums) in rows.zip(sums) {
            let at = row * self.width + first;
            // SAFETY: only this call touches these rows and columns.
            put_half(&sums.0[0], unsafe { self.out.part(at..at + columns) });
        }
    }
}
