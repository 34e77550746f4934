//! Register-blocked product kernels: a few rows of A times a panel of 32 columns of B.
//!
//! Every output element is one chain of fused multiply-adds over k in ascending order, whatever the instruction set and
//! the number of rows, so all variants give the same bits. B may be stored narrower; it is widened in registers, which
//! is exact, and multiplied and summed in f32.
#![allow(unsafe_code)]

#[cfg(target_arch = "x86_64")]
use std::mem::transmute;

use super::element::{HALF, Row, Wide};
use crate::ops::simd::{Isa, isa};

/// Most rows of a tile in any kernel.
pub(crate) const MAX_ROWS: usize = 12;

/// One tile: `rows × 32` outputs over `k` terms.
pub(crate) struct Tile<'a, T> {
    /// A's rows, `[k, rows]`.
    pub(crate) a: &'a [f32],
    /// B's panel, `[k]` rows of 32.
    pub(crate) b: &'a [T],
    /// Partial sums, one row each.
    pub(crate) sums: &'a mut [Wide],
    /// Chains go on from the sums instead of from 0.
    pub(crate) resume: bool,
    /// Where to leave B widened, `[k]`, or nothing.
    pub(crate) widened: &'a mut [Wide],
    /// What to fetch meanwhile.
    pub(crate) ahead: Ahead,
}

/// Memory that a tile asks for while it computes, some bytes per term: what a later tile reads.
#[derive(Clone, Copy)]
pub(crate) struct Ahead {
    /// Where it begins. Only a hint: any address will do.
    pub(crate) at: *const u8,
    /// Bytes per term.
    pub(crate) step: usize,
}

impl Ahead {
    /// Asks for the next bytes.
    #[inline(always)]
    fn fetch(&mut self) {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: a prefetch reads nothing and cannot fault.
        unsafe {
            use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
            _mm_prefetch::<_MM_HINT_T1>(self.at.cast());
        }
        self.at = self.at.wrapping_add(self.step);
    }
}

/// Most rows that one kernel call takes on this machine.
pub(crate) fn tile_height() -> usize {
    height(isa())
}

/// Most rows that the kernel of `set` takes.
pub(crate) fn height(set: Isa) -> usize {
    match set {
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 => 12,
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => 6,
        Isa::Portable => 4,
    }
}

/// Runs the kernel of `set` on a tile.
///
/// # Safety
/// The machine has `set`.
///
/// # Panics
/// If the tile has no row or more than [`height`].
pub(crate) unsafe fn run<T: Row>(set: Isa, tile: Tile<'_, T>) {
    macro_rules! rows {
        ($kernel:ident, [$($n:literal),*]) => {
            match (tile.sums.len(), tile.widened.is_empty()) {
                // SAFETY: passed on to the caller.
                $(($n, true) => unsafe { $kernel::<T, $n, false>(tile) },)*
                // SAFETY: passed on to the caller.
                $(($n, false) => unsafe { $kernel::<T, $n, true>(tile) },)*
                (rows, _) => unreachable!("no kernel for {rows} rows"),
            }
        };
    }
    match set {
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 => rows!(avx512, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]),
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => rows!(avx2, [1, 2, 3, 4, 5, 6]),
        Isa::Portable => rows!(portable, [1, 2, 3, 4]),
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

/// Runs a body for each term with A's rows and B's columns, leaving B widened if asked. Iterators over slices of one
/// length: indices would be checked in the inner loop.
macro_rules! each_term {
    ($tile:ident, $keep:expr, |$a:ident, $columns:ident| $body:block) => {{
        let mut ahead = $tile.ahead;
        let terms = $tile.a.as_chunks::<ROWS>().0.iter().zip($tile.b);
        if $keep {
            for (($a, row), widened) in terms.zip($tile.widened) {
                ahead.fetch();
                let $columns = row.load();
                *widened = $columns;
                $body
            }
        } else {
            for ($a, row) in terms {
                ahead.fetch();
                let $columns = row.load();
                $body
            }
        }
    }};
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
unsafe fn avx512<T: Row, const ROWS: usize, const KEEP: bool>(tile: Tile<'_, T>) {
    use std::arch::x86_64::{__m512, _mm512_fmadd_ps, _mm512_set1_ps, _mm512_setzero_ps};
    let sums = tile.sums.first_chunk_mut::<ROWS>().expect("a row of sums each");
    let mut acc = [[_mm512_setzero_ps(); 2]; ROWS];
    if tile.resume {
        each_row!(ROWS, R, {
            // SAFETY: same size, any bits are valid.
            acc[R] = unsafe { transmute::<Wide, [__m512; 2]>(sums[R]) };
        });
    }
    each_term!(tile, KEEP, |a, columns| {
        // SAFETY: as above.
        let [low, high] = unsafe { transmute::<Wide, [__m512; 2]>(columns) };
        each_row!(ROWS, R, {
            let x = _mm512_set1_ps(a[R]);
            acc[R][0] = _mm512_fmadd_ps(x, low, acc[R][0]);
            acc[R][1] = _mm512_fmadd_ps(x, high, acc[R][1]);
        });
    });
    each_row!(ROWS, R, {
        // SAFETY: as above.
        sums[R] = unsafe { transmute::<[__m512; 2], Wide>(acc[R]) };
    });
}

/// Half of the columns at a time: 6 × 16 sums fill 12 of 16 registers.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
unsafe fn avx2<T: Row, const ROWS: usize, const KEEP: bool>(tile: Tile<'_, T>) {
    use std::arch::x86_64::{__m256, _mm256_fmadd_ps, _mm256_set1_ps, _mm256_setzero_ps};
    let sums = tile.sums.first_chunk_mut::<ROWS>().expect("a row of sums each");
    let (mut ahead, widened) = (tile.ahead, tile.widened);
    for side in 0..2 {
        let mut acc = [[_mm256_setzero_ps(); 2]; ROWS];
        // SAFETY: same size, any bits are valid.
        let halves = |row: Wide| unsafe { transmute::<Wide, [[__m256; 2]; 2]>(row) }.map(|half| half[side]);
        if tile.resume {
            each_row!(ROWS, R, {
                acc[R] = halves(sums[R]);
            });
        }
        let terms = tile.a.as_chunks::<ROWS>().0.iter().zip(tile.b);
        for (k, (a, row)) in terms.enumerate() {
            let columns = row.load();
            if side == 0 {
                ahead.fetch();
                if KEEP {
                    widened[k] = columns;
                }
            }
            let [low, high] = halves(columns);
            each_row!(ROWS, R, {
                let x = _mm256_set1_ps(a[R]);
                acc[R] = [_mm256_fmadd_ps(x, low, acc[R][0]), _mm256_fmadd_ps(x, high, acc[R][1])];
            });
        }
        each_row!(ROWS, R, {
            // SAFETY: same size, any bits are valid.
            let part = unsafe { transmute::<[__m256; 2], [[f32; HALF / 2]; 2]>(acc[R]) };
            for (sums, part) in sums[R].0.iter_mut().zip(part) {
                sums[side * HALF / 2..][..HALF / 2].copy_from_slice(&part);
            }
        });
    }
}

/// For whatever vectors the compiler has; with NEON, 4 × 16 sums fill 16 of 32 registers.
unsafe fn portable<T: Row, const ROWS: usize, const KEEP: bool>(tile: Tile<'_, T>) {
    let sums = tile.sums.first_chunk_mut::<ROWS>().expect("a row of sums each");
    let (mut ahead, widened) = (tile.ahead, tile.widened);
    for side in 0..2 {
        let mut acc = [[0.0_f32; HALF]; ROWS];
        if tile.resume {
            acc = sums.map(|row| row.0[side]);
        }
        for (k, (a, row)) in tile.a.as_chunks::<ROWS>().0.iter().zip(tile.b).enumerate() {
            let columns = row.load();
            if side == 0 {
                ahead.fetch();
                if KEEP {
                    widened[k] = columns;
                }
            }
            for (x, acc) in a.iter().zip(&mut acc) {
                for (acc, b) in acc.iter_mut().zip(&columns.0[side]) {
                    *acc = x.mul_add(*b, *acc);
                }
            }
        }
        for (sums, acc) in sums.iter_mut().zip(acc) {
            sums.0[side] = acc;
        }
    }
}
