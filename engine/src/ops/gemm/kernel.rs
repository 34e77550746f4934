//! Register-blocked product kernels: a few rows of A times a panel of 32 columns of B.
//!
//! Every output element is one chain of fused multiply-adds over k in ascending order, whatever the instruction set and
//! the number of rows, so all variants give the same bits. B may be stored narrower; it is widened in registers, which
//! is exact, and multiplied and summed in f32.
#![allow(unsafe_code)]

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
use std::mem::transmute;

use super::element::{HALF, Row, Wide};
use crate::ops::simd::{Isa, fetch_for_later, isa};

/// Bytes of a cache line.
pub(crate) const LINE: usize = 64;

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

/// Memory that a tile asks for while it computes, as many times per term as a term of B has cache lines: what a later
/// tile reads.
#[derive(Clone, Copy)]
pub(crate) struct Ahead {
    /// Where it begins. Only a hint: any address will do.
    pub(crate) at: *const u8,
    /// Bytes from one time to the next.
    pub(crate) step: usize,
}

impl Ahead {
    /// Asks for the next bytes.
    #[inline(always)]
    fn fetch(&mut self) {
        fetch_for_later(self.at);
        self.at = self.at.wrapping_add(self.step);
    }
}

/// Cache lines of a term of B.
const fn lines<T>() -> usize {
    size_of::<T>() / LINE
}

/// Those of them that a pass over some halves of the columns asks for; all passes together ask for each once.
const fn fetches<T>(from: usize, end: usize) -> usize {
    let end = if end < lines::<T>() { end } else { lines::<T>() };
    end.saturating_sub(from)
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
        #[cfg(target_arch = "aarch64")]
        Isa::Neon => 6,
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
pub(crate) unsafe fn run<T: Row>(set: Isa, tile: &mut Tile<'_, T>) {
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
        #[cfg(target_arch = "aarch64")]
        Isa::Neon => rows!(neon, [1, 2, 3, 4, 5, 6]),
        Isa::Portable => rows!(portable, [1, 2, 3, 4]),
    }
}

/// Runs a body once per index below a bound with the index as a constant. A loop over rows may stay a loop, and then the
/// accumulators live in memory.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
macro_rules! each_row {
    ($rows:expr, $r:ident, $body:block) => {
        constants!($r, if $r < $rows, $body, 0 1 2 3 4 5 6 7 8 9 10 11)
    };
}

/// The same for halves `$from..$end` of the columns.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
macro_rules! each_side {
    ($from:expr, $end:expr, $side:ident, $body:block) => {
        constants!($side, if $side >= $from && $side < $end, $body, 0 1)
    };
}

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
macro_rules! constants {
    ($i:ident, if $condition:expr, $body:block, $($n:literal)*) => {$({
        const $i: usize = $n;
        if $condition {
            $body
        }
    })*};
}

/// Runs a body for each term with A's rows, B's row and the place to keep it widened, if it is kept, and asks for what is
/// ahead so many times. Iterators over slices of one length: indices would be checked in the inner loop.
macro_rules! each_term {
    ($tile:ident, $fetches:expr, |$a:ident, $row:ident, $kept:ident| $body:block) => {
        let mut ahead = $tile.ahead;
        let terms = $tile.a.as_chunks::<ROWS>().0.iter().zip($tile.b);
        if KEEP {
            for (($a, $row), widened) in terms.zip($tile.widened.iter_mut()) {
                (0..$fetches).for_each(|_| ahead.fetch());
                let mut $kept = Some(widened);
                $body
            }
        } else {
            for ($a, $row) in terms {
                (0..$fetches).for_each(|_| ahead.fetch());
                let mut $kept = None;
                $body
            }
        }
        $tile.ahead = ahead;
    };
}

/// One half of a row of B in f32, which it leaves in `kept`, too.
#[inline(always)]
fn columns<T: Row, const SIDE: usize>(row: &T, kept: &mut Option<&mut Wide>) -> [f32; HALF] {
    let columns = row.half::<SIDE>();
    if let Some(kept) = kept {
        kept.0[SIDE] = columns;
    }
    columns
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
unsafe fn avx512<T: Row, const ROWS: usize, const KEEP: bool>(tile: &mut Tile<'_, T>) {
    use std::arch::x86_64::{__m512, _mm512_fmadd_ps, _mm512_set1_ps, _mm512_setzero_ps};
    // SAFETY: same size, any bits are valid.
    let vector = |half: [f32; HALF]| unsafe { transmute::<[f32; HALF], __m512>(half) };
    let sums = tile.sums.first_chunk_mut::<ROWS>().expect("a row of sums each");
    let mut acc = [[_mm512_setzero_ps(); 2]; ROWS];
    if tile.resume {
        each_row!(ROWS, R, {
            acc[R] = sums[R].0.map(vector);
        });
    }
    each_term!(tile, fetches::<T>(0, 2), |a, row, kept| {
        let low = vector(columns::<T, 0>(row, &mut kept));
        let high = vector(columns::<T, 1>(row, &mut kept));
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

/// Both halves of the columns at once while their sums fit 16 registers, which reads B in one stream; otherwise one after
/// the other: 6 × 16 sums fill 12.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
unsafe fn avx2<T: Row, const ROWS: usize, const KEEP: bool>(tile: &mut Tile<'_, T>) {
    // SAFETY: passed on to the caller.
    unsafe {
        if ROWS <= 2 {
            avx2_sides::<T, ROWS, KEEP, 0, 2>(tile);
        } else {
            avx2_sides::<T, ROWS, KEEP, 0, 1>(tile);
            avx2_sides::<T, ROWS, KEEP, 1, 2>(tile);
        }
    }
}

/// Halves `FROM` to `END` of the columns, as constants: chosen at run time, they would go through memory in each term.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
unsafe fn avx2_sides<T: Row, const ROWS: usize, const KEEP: bool, const FROM: usize, const END: usize>(
    tile: &mut Tile<'_, T>,
) {
    use std::arch::x86_64::{__m256, _mm256_fmadd_ps, _mm256_set1_ps, _mm256_setzero_ps};
    // SAFETY: same size, any bits are valid.
    let vectors = |half: [f32; HALF]| unsafe { transmute::<[f32; HALF], [__m256; 2]>(half) };
    let sums = tile.sums.first_chunk_mut::<ROWS>().expect("a row of sums each");
    let mut acc = [[[_mm256_setzero_ps(); 2]; 2]; ROWS];
    if tile.resume {
        each_row!(ROWS, R, {
            acc[R] = sums[R].0.map(vectors);
        });
    }
    each_term!(tile, fetches::<T>(FROM, END), |a, row, kept| {
        each_side!(FROM, END, SIDE, {
            let [low, high] = vectors(columns::<T, SIDE>(row, &mut kept));
            each_row!(ROWS, R, {
                let x = _mm256_set1_ps(a[R]);
                acc[R][SIDE][0] = _mm256_fmadd_ps(x, low, acc[R][SIDE][0]);
                acc[R][SIDE][1] = _mm256_fmadd_ps(x, high, acc[R][SIDE][1]);
            });
        });
    });
    each_row!(ROWS, R, {
        each_side!(FROM, END, SIDE, {
            // SAFETY: as above.
            sums[R].0[SIDE] = unsafe { transmute::<[__m256; 2], [f32; HALF]>(acc[R][SIDE]) };
        });
    });
}

/// Both halves of the columns at once while their sums fit 32 registers beside a row of B; otherwise one after the other:
/// 6 × 16 sums fill 24.
#[cfg(target_arch = "aarch64")]
#[target_feature(enable = "neon")]
unsafe fn neon<T: Row, const ROWS: usize, const KEEP: bool>(tile: &mut Tile<'_, T>) {
    if ROWS <= 2 {
        neon_sides::<T, ROWS, KEEP, 0, 2>(tile);
    } else {
        neon_sides::<T, ROWS, KEEP, 0, 1>(tile);
        neon_sides::<T, ROWS, KEEP, 1, 2>(tile);
    }
}

/// Halves `FROM` to `END` of the columns.
#[cfg(target_arch = "aarch64")]
#[target_feature(enable = "neon")]
fn neon_sides<T: Row, const ROWS: usize, const KEEP: bool, const FROM: usize, const END: usize>(
    tile: &mut Tile<'_, T>,
) {
    use std::arch::aarch64::{float32x4_t, vdupq_n_f32, vfmaq_n_f32};
    // SAFETY: same size, any bits are valid.
    let vectors = |half: [f32; HALF]| unsafe { transmute::<[f32; HALF], [float32x4_t; 4]>(half) };
    let sums = tile.sums.first_chunk_mut::<ROWS>().expect("a row of sums each");
    let mut acc = [[[vdupq_n_f32(0.0); 4]; 2]; ROWS];
    if tile.resume {
        each_row!(ROWS, R, {
            acc[R] = sums[R].0.map(vectors);
        });
    }
    each_term!(tile, fetches::<T>(FROM, END), |a, row, kept| {
        each_side!(FROM, END, SIDE, {
            let [b0, b1, b2, b3] = vectors(columns::<T, SIDE>(row, &mut kept));
            each_row!(ROWS, R, {
                acc[R][SIDE][0] = vfmaq_n_f32(acc[R][SIDE][0], b0, a[R]);
                acc[R][SIDE][1] = vfmaq_n_f32(acc[R][SIDE][1], b1, a[R]);
                acc[R][SIDE][2] = vfmaq_n_f32(acc[R][SIDE][2], b2, a[R]);
                acc[R][SIDE][3] = vfmaq_n_f32(acc[R][SIDE][3], b3, a[R]);
            });
        });
    });
    each_row!(ROWS, R, {
        each_side!(FROM, END, SIDE, {
            // SAFETY: as above.
            sums[R].0[SIDE] = unsafe { transmute::<[float32x4_t; 4], [f32; HALF]>(acc[R][SIDE]) };
        });
    });
}

/// For whatever vectors the compiler has.
unsafe fn portable<T: Row, const ROWS: usize, const KEEP: bool>(tile: &mut Tile<'_, T>) {
    portable_side::<T, ROWS, KEEP, 0>(tile);
    portable_side::<T, ROWS, KEEP, 1>(tile);
}

fn portable_side<T: Row, const ROWS: usize, const KEEP: bool, const SIDE: usize>(tile: &mut Tile<'_, T>) {
    let sums = tile.sums.first_chunk_mut::<ROWS>().expect("a row of sums each");
    let mut acc = [[0.0_f32; HALF]; ROWS];
    if tile.resume {
        acc = sums.map(|row| row.0[SIDE]);
    }
    each_term!(tile, fetches::<T>(SIDE, SIDE + 1), |a, row, kept| {
        let columns = columns::<T, SIDE>(row, &mut kept);
        for (x, acc) in a.iter().zip(&mut acc) {
            for (acc, b) in acc.iter_mut().zip(&columns) {
                *acc = x.mul_add(*b, *acc);
            }
        }
    });
    for (sums, acc) in sums.iter_mut().zip(acc) {
        sums.0[SIDE] = acc;
    }
}
