//! Register-blocked product kernels: `ROWS` rows of A times one or two panels of 16 columns of B.
//!
//! Every output element is one chain of fused multiply-adds over k in ascending order, whatever the instruction set and
//! the number of rows, so all variants give the same bits. B may be stored narrower; it is widened in registers, which
//! is exact, and multiplied and summed in f32. Operands come as slices of arrays: raw loads would carry the
//! standard library's debug assertions into the inner loop.
#![allow(unsafe_code)]

#[cfg(target_arch = "x86_64")]
use std::mem::transmute;

use super::element::Element;
use crate::ops::simd::{Isa, isa};

/// Columns of a panel.
pub(crate) const PANEL: usize = 16;
/// Most rows of a tile in any kernel.
pub(crate) const MAX_ROWS: usize = 12;

/// One tile: `rows × (panels · 16)` outputs over `k` terms.
#[derive(Clone, Copy)]
pub(crate) struct Tile<'a, T> {
    /// A's rows, `[k, rows]`.
    pub(crate) a: &'a [f32],
    /// Panels of B, `[k, 16]` each.
    pub(crate) b: [&'a [[T; PANEL]]; 2],
    /// First output.
    pub(crate) c: *mut f32,
    /// Distance of output rows.
    pub(crate) c_stride: usize,
    /// Chains go on from what C holds instead of from 0.
    pub(crate) resume: bool,
    /// What to fetch meanwhile.
    pub(crate) ahead: Ahead,
}

/// Memory that a tile asks for while it computes, some bytes per term: operands of a later tile.
#[derive(Clone, Copy)]
pub(crate) struct Ahead {
    /// Where each panel's begins. Only a hint: any address will do.
    pub(crate) at: [*const u8; 2],
    /// Bytes per term.
    pub(crate) step: usize,
}

impl Ahead {
    /// Asks for the next bytes of `PANELS` panels.
    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    fn fetch<const PANELS: usize>(&mut self) {
        use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
        for p in 0..PANELS {
            // SAFETY: a prefetch reads nothing and cannot fault.
            unsafe { _mm_prefetch::<_MM_HINT_T1>(self.at[p].cast()) };
            self.at[p] = self.at[p].wrapping_add(self.step);
        }
    }
}

impl<T> Tile<'_, T> {
    /// 16 outputs.
    #[inline(always)]
    fn output(&self, row: usize, panel: usize) -> *mut [f32; PANEL] {
        self.c
            .wrapping_add(row.wrapping_mul(self.c_stride))
            .wrapping_add(panel * PANEL)
            .cast()
    }
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
pub(crate) unsafe fn run<T: Element>(set: Isa, rows: usize, panels: usize, tile: Tile<'_, T>) {
    macro_rules! rows {
        ($kernel:ident, $panels:literal, [$($n:literal),*]) => {
            match rows {
                // SAFETY: passed on to the caller.
                $($n => unsafe { $kernel::<T, $n, $panels>(tile) },)*
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
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
unsafe fn avx512<T: Element, const ROWS: usize, const PANELS: usize>(tile: Tile<'_, T>) {
    use std::arch::x86_64::{__m512, _mm512_fmadd_ps, _mm512_set1_ps, _mm512_setzero_ps};
    let mut acc = [[_mm512_setzero_ps(); PANELS]; ROWS];
    if tile.resume {
        each_row!(ROWS, R, {
            for p in 0..PANELS {
                // SAFETY: the caller vouches for the tile's outputs.
                acc[R][p] = unsafe { transmute::<[f32; PANEL], __m512>(*tile.output(R, p)) };
            }
        });
    }
    let terms = tile
        .a
        .as_chunks::<ROWS>()
        .0
        .iter()
        .zip(tile.b[0])
        .zip(tile.b[PANELS - 1]);
    let mut ahead = tile.ahead;
    for ((a, first), last) in terms {
        ahead.fetch::<PANELS>();
        // SAFETY: same size, any bits are valid.
        let first = unsafe { transmute::<[f32; PANEL], __m512>(T::widen(first)) };
        // SAFETY: as above.
        let last = unsafe { transmute::<[f32; PANEL], __m512>(T::widen(last)) };
        each_row!(ROWS, R, {
            let x = _mm512_set1_ps(a[R]);
            acc[R][0] = _mm512_fmadd_ps(x, first, acc[R][0]);
            if PANELS == 2 {
                acc[R][PANELS - 1] = _mm512_fmadd_ps(x, last, acc[R][PANELS - 1]);
            }
        });
    }
    each_row!(ROWS, R, {
        for p in 0..PANELS {
            // SAFETY: the caller vouches for the tile's outputs.
            unsafe { *tile.output(R, p) = transmute::<__m512, [f32; PANEL]>(acc[R][p]) };
        }
    });
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
unsafe fn avx2<T: Element, const ROWS: usize, const PANELS: usize>(tile: Tile<'_, T>) {
    use std::arch::x86_64::{__m256, _mm256_fmadd_ps, _mm256_set1_ps, _mm256_setzero_ps};
    const { assert!(PANELS == 1) };
    let mut acc = [[_mm256_setzero_ps(); 2]; ROWS];
    if tile.resume {
        each_row!(ROWS, R, {
            // SAFETY: the caller vouches for the tile's outputs.
            acc[R] = unsafe { transmute::<[f32; PANEL], [__m256; 2]>(*tile.output(R, 0)) };
        });
    }
    let mut ahead = tile.ahead;
    for (a, b) in tile.a.as_chunks::<ROWS>().0.iter().zip(tile.b[0]) {
        ahead.fetch::<PANELS>();
        // SAFETY: same size, any bits are valid.
        let [low, high] = unsafe { transmute::<[f32; PANEL], [__m256; 2]>(T::widen(b)) };
        each_row!(ROWS, R, {
            let x = _mm256_set1_ps(a[R]);
            acc[R] = [_mm256_fmadd_ps(x, low, acc[R][0]), _mm256_fmadd_ps(x, high, acc[R][1])];
        });
    }
    each_row!(ROWS, R, {
        // SAFETY: the caller vouches for the tile's outputs.
        unsafe { *tile.output(R, 0) = transmute::<[__m256; 2], [f32; PANEL]>(acc[R]) };
    });
}

unsafe fn portable<T: Element, const ROWS: usize, const PANELS: usize>(tile: Tile<'_, T>) {
    const { assert!(PANELS == 1) };
    let mut acc = [[0.0_f32; PANEL]; ROWS];
    if tile.resume {
        for (r, acc) in acc.iter_mut().enumerate() {
            // SAFETY: the caller vouches for the tile's outputs.
            *acc = unsafe { *tile.output(r, 0) };
        }
    }
    for (a, b) in tile.a.as_chunks::<ROWS>().0.iter().zip(tile.b[0]) {
        let b = T::widen(b);
        for (x, acc) in a.iter().zip(&mut acc) {
            for (acc, b) in acc.iter_mut().zip(&b) {
                *acc = x.mul_add(*b, *acc);
            }
        }
    }
    for (r, acc) in acc.into_iter().enumerate() {
        // SAFETY: the caller vouches for the tile's outputs.
        unsafe { *tile.output(r, 0) = acc };
    }
}
