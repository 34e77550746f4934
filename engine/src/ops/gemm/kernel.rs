//! Register-blocked product kernels: `ROWS` rows of A times one or two panels of 16 columns of B.
//!
//! Every output element is one chain of fused multiply-adds over k in ascending order, whatever the instruction set and
//! the number of rows, so all variants give the same bits. Operands come as slices of arrays: raw loads would carry the
//! standard library's debug assertions into the inner loop.
#![allow(unsafe_code)]

use crate::ops::simd::{Isa, isa};

/// Columns of a panel.
pub(crate) const PANEL: usize = 16;
/// Most rows of a tile in any kernel.
pub(crate) const MAX_ROWS: usize = 12;

/// One tile: `rows × (panels · 16)` outputs over `k` terms.
#[derive(Clone, Copy)]
pub(crate) struct Tile<'a> {
    /// A's rows, `[k, rows]`.
    pub(crate) a: &'a [f32],
    /// Panels of B, `[k, 16]` each.
    pub(crate) b: [&'a [[f32; PANEL]]; 2],
    /// First output.
    pub(crate) c: *mut f32,
    /// Distance of output rows.
    pub(crate) c_stride: usize,
    /// Chains go on from what C holds instead of from 0.
    pub(crate) resume: bool,
}

/// Most rows and panels that one kernel call takes on this machine.
pub(crate) fn tile_shape() -> (usize, usize) {
    match isa() {
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 => (12, 2),
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => (6, 1),
        Isa::Portable => (4, 1),
    }
}

/// Runs the kernel of `set` on a tile.
///
/// # Safety
/// The machine has `set`; `rows` and `panels` are within its shape; `c` is valid for the elements that the tile spans,
/// and nothing else accesses them meanwhile.
pub(crate) unsafe fn run(set: Isa, rows: usize, panels: usize, tile: Tile<'_>) {
    macro_rules! rows {
        ($kernel:ident, $panels:literal, [$($n:literal),*]) => {
            match rows {
                // SAFETY: passed on to the caller.
                $($n => unsafe { $kernel::<$n, $panels>(tile) },)*
                _ => unreachable!("no kernel for {rows} rows"),
            }
        };
    }
    match (set, panels) {
        #[cfg(target_arch = "x86_64")]
        (Isa::Avx512, 2) => rows!(avx512, 2, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]),
        #[cfg(target_arch = "x86_64")]
        (Isa::Avx512, _) => rows!(avx512, 1, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]),
        #[cfg(target_arch = "x86_64")]
        (Isa::Avx2, _) => rows!(avx2, 1, [1, 2, 3, 4, 5, 6]),
        (Isa::Portable, _) => rows!(portable, 1, [1, 2, 3, 4]),
    }
}

/// What the outputs held, or zeros.
///
/// # Safety
/// As [`run`].
#[inline(always)]
unsafe fn load<const ROWS: usize, const PANELS: usize>(tile: &Tile<'_>) -> [[[f32; PANEL]; PANELS]; ROWS] {
    let mut acc = [[[0.0; PANEL]; PANELS]; ROWS];
    if tile.resume {
        for (r, row) in acc.iter_mut().enumerate() {
            let c = tile.c.wrapping_add(r.wrapping_mul(tile.c_stride));
            // SAFETY: the caller vouches for the tile's outputs.
            *row = unsafe { c.cast::<[[f32; PANEL]; PANELS]>().read_unaligned() };
        }
    }
    acc
}

/// Writes the outputs.
///
/// # Safety
/// As [`run`].
#[inline(always)]
unsafe fn store<const ROWS: usize, const PANELS: usize>(tile: &Tile<'_>, acc: [[[f32; PANEL]; PANELS]; ROWS]) {
    for (r, row) in acc.into_iter().enumerate() {
        let c = tile.c.wrapping_add(r.wrapping_mul(tile.c_stride));
        // SAFETY: the caller vouches for the tile's outputs.
        unsafe { c.cast::<[[f32; PANEL]; PANELS]>().write_unaligned(row) };
    }
}

/// Runs a body once per row of a tile with the row as a constant. A loop over rows may stay a loop, and then the
/// accumulators live in memory.
#[cfg(target_arch = "x86_64")]
macro_rules! each_row {
    ($rows:expr, $r:ident, $body:block) => {
        each_row!(@ $rows, $r, $body, 0 1 2 3 4 5 6 7 8 9 10 11)
    };
    (@ $rows:expr, $r:ident, $body:block, $($n:literal)*) => {$(
        if $n < $rows {
            const $r: usize = $n;
            $body
        }
    )*};
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
unsafe fn avx512<const ROWS: usize, const PANELS: usize>(tile: Tile<'_>) {
    use std::arch::x86_64::{__m512, _mm512_fmadd_ps, _mm512_set1_ps};
    // SAFETY: same size, any bits are valid.
    let vector = |x: [f32; PANEL]| unsafe { std::mem::transmute::<[f32; PANEL], __m512>(x) };
    // SAFETY: as above.
    let array = |x: __m512| unsafe { std::mem::transmute::<__m512, [f32; PANEL]>(x) };
    // SAFETY: passed on to the caller.
    let mut acc = unsafe { load::<ROWS, PANELS>(&tile) }.map(|row| row.map(vector));
    let terms = tile
        .a
        .as_chunks::<ROWS>()
        .0
        .iter()
        .zip(tile.b[0])
        .zip(tile.b[PANELS - 1]);
    for ((a, first), last) in terms {
        let (first, last) = (vector(*first), vector(*last));
        each_row!(ROWS, R, {
            let x = _mm512_set1_ps(a[R]);
            acc[R][0] = _mm512_fmadd_ps(x, first, acc[R][0]);
            if PANELS == 2 {
                acc[R][PANELS - 1] = _mm512_fmadd_ps(x, last, acc[R][PANELS - 1]);
            }
        });
    }
    // SAFETY: passed on to the caller.
    unsafe { store(&tile, acc.map(|row| row.map(array))) };
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
unsafe fn avx2<const ROWS: usize, const PANELS: usize>(tile: Tile<'_>) {
    use std::arch::x86_64::{__m256, _mm256_fmadd_ps, _mm256_set1_ps};
    const { assert!(PANELS == 1) };
    // SAFETY: same size, any bits are valid.
    let vectors = |x: [f32; PANEL]| unsafe { std::mem::transmute::<[f32; PANEL], [__m256; 2]>(x) };
    // SAFETY: as above.
    let array = |x: [__m256; 2]| unsafe { std::mem::transmute::<[__m256; 2], [f32; PANEL]>(x) };
    // SAFETY: passed on to the caller.
    let mut acc = unsafe { load::<ROWS, 1>(&tile) }.map(|[row]| vectors(row));
    for (a, b) in tile.a.as_chunks::<ROWS>().0.iter().zip(tile.b[0]) {
        let [low, high] = vectors(*b);
        each_row!(ROWS, R, {
            let x = _mm256_set1_ps(a[R]);
            acc[R] = [_mm256_fmadd_ps(x, low, acc[R][0]), _mm256_fmadd_ps(x, high, acc[R][1])];
        });
    }
    // SAFETY: passed on to the caller.
    unsafe { store(&tile, acc.map(|row| [array(row)])) };
}

unsafe fn portable<const ROWS: usize, const PANELS: usize>(tile: Tile<'_>) {
    const { assert!(PANELS == 1) };
    // SAFETY: passed on to the caller.
    let mut acc = unsafe { load::<ROWS, 1>(&tile) };
    for (a, b) in tile.a.as_chunks::<ROWS>().0.iter().zip(tile.b[0]) {
        for (x, [acc]) in a.iter().zip(&mut acc) {
            for (acc, b) in acc.iter_mut().zip(b) {
                *acc = x.mul_add(*b, *acc);
            }
        }
    }
    // SAFETY: passed on to the caller.
    unsafe { store(&tile, acc) };
}
