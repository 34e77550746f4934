//! RMS normalisation of rows, and of each head of q and k (Qwen3).
#![allow(unsafe_code)]

use super::logsumexp::{LANES, fold};
use super::par::{Disjoint, Par};
use super::simd::multiversion;

/// Elements below which a pass stays on one thread.
pub(crate) const SERIAL_ELEMENTS: usize = 1 << 16;

/// Rows of a partial sum over heads.
const HEAD_ROWS: usize = 256;

/// Σ aᵢ·bᵢ in lanes.
#[inline(always)]
fn dot_lanes(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [0.0_f32; LANES];
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    for (a, b) in a.iter().zip(b) {
        for i in 0..LANES {
            lanes[i] = a[i].mul_add(b[i], lanes[i]);
        }
    }
    for ((lane, a), b) in lanes.iter_mut().zip(a_rest).zip(b_rest) {
        *lane = a.mul_add(*b, *lane);
    }
    fold(lanes, |x, y| x + y)
}

#[inline(always)]
fn inverse_rms(x: &[f32], eps: f32) -> f32 {
    1.0 / (dot_lanes(x, x) / x.len() as f32 + eps).sqrt()
}

multiversion! {
    /// `out = x / rms(x) · weight` row by row.
    pub(super) fn norm_rows(x: &[f32], weight: &[f32], eps: f32, out: &mut [f32]) {
        let width = weight.len();
        for (x, out) in x.chunks_exact(width).zip(out.chunks_exact_mut(width)) {
            let inverse = inverse_rms(x, eps);
            for ((out, x), w) in out.iter_mut().zip(x).zip(weight) {
                *out = x * inverse * w;
            }
        }
    }

    /// Normalises each head of `weight.len()` elements.
    pub(crate) fn norm_in_place(x: &mut [f32], weight: &[f32], eps: f32) {
        for x in x.chunks_exact_mut(weight.len()) {
            let inverse = inverse_rms(x, eps);
            for (x, w) in x.iter_mut().zip(weight) {
                *x = *x * inverse * w;
            }
        }
    }

    /// dx += d(norm)/dx · dy per row; `inverse` receives each row's 1/rms.
    fn backward_rows(x: &[f32], weight: &[f32], eps: f32, dy: &[f32], dx: &mut [f32], inverse: &mut [f32]) {
        let width = weight.len();
        let rows = x.chunks_exact(width).zip(dy.chunks_exact(width)).zip(dx.chunks_exact_mut(width));
        for (((x, dy), dx), inverse) in rows.zip(inverse) {
            *inverse = inverse_rms(x, eps);
            for ((dx, dy), w) in dx.iter_mut().zip(dy).zip(weight) {
                *dx = dy * w;
            }
            let shift = dot_lanes(dx, x) * *inverse * *inverse / width as f32;
            for (dx, x) in dx.iter_mut().zip(x) {
                *dx = (*dx - x * shift) * *inverse;
            }
        }
    }

    fn weight_gradient(x: &[f32], dy: &[f32], inverse: &[f32], width: usize, first: usize, dw: &mut [f32]) {
        let columns = first..first + dw.len();
        for ((x, dy), inverse) in x.chunks_exact(width).zip(dy.chunks_exact(width)).zip(inverse) {
            for ((dw, x), dy) in dw.iter_mut().zip(&x[columns.clone()]).zip(&dy[columns.clone()]) {
                *dw = (x * inverse).mul_add(*dy, *dw);
            }
        }
    }
}

/// `out = x / rms(x) · weight` for rows `[rows, weight.len()]`.
pub(crate) fn rms_norm(par: Par, x: &[f32], weight: &[f32], eps: f32, out: &mut [f32]) {
    let width = weight.len();
    par.rows(out, width, SERIAL_ELEMENTS, |first, out| {
        norm_rows(&x[first * width..][..out.len()], weight, eps, out);
    });
}

/// Backward of [`rms_norm`]: overwrites `dx`, adds to `dw`. `inverse` is scratch of one element per row.
pub(crate) fn rms_norm_backward(
    par: Par,
    x: &[f32],
    weight: &[f32],
    eps: f32,
    dy: &[f32],
    dx: &mut [f32],
    dw: &mut [f32],
    inverse: &mut Vec<f32>,
) {
    let width = weight.len();
    inverse.resize(x.len() / width, 0.0);
    let shared = Disjoint::new(inverse);
    par.rows(dx, width, SERIAL_ELEMENTS, |first, dx| {
        let rows = first..first + dx.len() / width;
        let at = first * width..first * width + dx.len();
        // SAFETY: `rows` hands each thread rows of its own.
        backward_rows(&x[at.clone()], weight, eps, &dy[at], dx, unsafe { shared.part(rows) });
    });
    let columns = if x.len() < SERIAL_ELEMENTS {
        width
    } else {
        width.div_ceil(par.threads()).next_multiple_of(LANES)
    };
    let out = Disjoint::new(dw);
    par.each(width.div_ceil(columns), |i| {
        let range = i * columns..((i + 1) * columns).min(width);
        // SAFETY: the ranges are disjoint.
        weight_gradient(x, dy, inverse, width, range.start, unsafe { out.part(range) });
    });
}

/// Backward of [`norm_in_place`] on heads: `dy` in `columns` of `grad` becomes `dx` there; `x` holds the inputs in the same
/// columns of its rows; adds to `dw`, in partial sums of [`HEAD_ROWS`] rows whose order no thread changes.
pub(crate) fn rms_norm_heads_backward(
    par: Par,
    x: &[f32],
    grad: &mut [f32],
    width: usize,
    columns: std::ops::Range<usize>,
    weight: &[f32],
    eps: f32,
    dw: &mut [f32],
) {
    let head = weight.len();
    let run = HEAD_ROWS * width;
    let mut partial = vec![0.0; grad.len().div_ceil(run) * head];
    let (partials, shared) = (Disjoint::new(&mut partial), Disjoint::new(grad));
    par.each(x.len().div_ceil(run), |i| {
        let range = i * run..((i + 1) * run).min(x.len());
        // SAFETY: runs of rows and their partial sums are disjoint.
        let (grad, dw) = unsafe { (shared.part(range.clone()), partials.part(i * head..(i + 1) * head)) };
        let (mut dx, mut inverse) = (vec![0.0; columns.len()], vec![0.0; columns.len() / head]);
        for (x, grad) in x[range].chunks_exact(width).zip(grad.chunks_exact_mut(width)) {
            let (x, grad) = (&x[columns.clone()], &mut grad[columns.clone()]);
            backward_rows(x, weight, eps, grad, &mut dx, &mut inverse);
            weight_gradient(x, grad, &inverse, head, 0, dw);
            grad.copy_from_slice(&dx);
        }
    });
    for partial in partial.chunks_exact(head) {
        dw.iter_mut().zip(partial).for_each(|(dw, part)| *dw += part);
    }
}
