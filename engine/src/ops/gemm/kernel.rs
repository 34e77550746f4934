//! Register-blocked product kernels: `MR` rows of A times one or two panels of 16 columns of B.
//!
//! Every output element is one chain of fused multiply-adds over k in ascending order, whatever the instruction set and
//! the number of rows, so all variants give the same bits. Pointers advance by `wrapping_add` and are read unaligned:
//! these carry no debug assertions, which would otherwise dominate the inner loop.
#![allow(unsafe_code)]

use crate::ops::simd::{Isa, isa};

/// Columns of a panel.
pub(crate) const PANEL: usize = 16;
/// Most rows of a tile in any kernel.
pub(crate) const MAX_ROWS: usize = 12;

/// One tile: `rows × (panels · 16)` outputs over `k` terms.
#[derive(Clone, Copy)]
pub(crate) struct Tile {
    /// Terms of this pass.
    pub(crate) k: usize,
    /// First element of A.
    pub(crate) a: *const f32,
    /// Distance of A's rows.
    pub(crate) row_stride: usize,
    /// Distance of A's k.
    pub(crate) k_stride: usize,
    /// First element of the panel, `[k, 16]`.
    pub(crate) b: *const f32,
    /// Distance to the next panel.
    pub(crate) panel_stride: usize,
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
/// The machine has `set`; `rows` and `panels` are within its shape; the pointers of `tile` are valid for the elements
/// its strides span, and nothing else accesses C meanwhile.
pub(crate) unsafe fn run(set: Isa, rows: usize, panels: usize, tile: Tile) {
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

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
unsafe fn avx512<const ROWS: usize, const PANELS: usize>(tile: Tile) {
    use std::arch::x86_64::{__m512, _mm512_fmadd_ps, _mm512_set1_ps, _mm512_setzero_ps};
    let mut acc = [[_mm512_setzero_ps(); PANELS]; ROWS];
    // SAFETY: the caller vouches for every address that the strides span.
    unsafe {
        if tile.resume {
            for r in 0..ROWS {
                for p in 0..PANELS {
                    let c = tile
                        .c
                        .wrapping_add(r.wrapping_mul(tile.c_stride))
                        .wrapping_add(p * PANEL);
                    acc[r][p] = c.cast::<__m512>().read_unaligned();
                }
            }
        }
        // Rows are addressed from every third pointer, so that pointers and stride stay in registers.
        let mut a = [tile.a; 4];
        for (i, pointer) in a.iter_mut().enumerate() {
            *pointer = pointer.wrapping_add(tile.row_stride.wrapping_mul(3 * i));
        }
        let mut b = tile.b;
        for _ in 0..tile.k {
            let mut column = [_mm512_setzero_ps(); PANELS];
            for p in 0..PANELS {
                column[p] = b
                    .wrapping_add(tile.panel_stride.wrapping_mul(p))
                    .cast::<__m512>()
                    .read_unaligned();
            }
            for r in 0..ROWS {
                let x = a[r / 3]
                    .wrapping_add(tile.row_stride.wrapping_mul(r % 3))
                    .read_unaligned();
                let x = _mm512_set1_ps(x);
                for p in 0..PANELS {
                    acc[r][p] = _mm512_fmadd_ps(x, column[p], acc[r][p]);
                }
            }
            for pointer in &mut a {
                *pointer = pointer.wrapping_add(tile.k_stride);
            }
            b = b.wrapping_add(PANEL);
        }
        for r in 0..ROWS {
            for p in 0..PANELS {
                let c = tile
                    .c
                    .wrapping_add(r.wrapping_mul(tile.c_stride))
                    .wrapping_add(p * PANEL);
                c.cast::<__m512>().write_unaligned(acc[r][p]);
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
unsafe fn avx2<const ROWS: usize, const PANELS: usize>(tile: Tile) {
    use std::arch::x86_64::{__m256, _mm256_fmadd_ps, _mm256_set1_ps, _mm256_setzero_ps};
    const { assert!(PANELS == 1) };
    let mut acc = [[_mm256_setzero_ps(); 2]; ROWS];
    // SAFETY: the caller vouches for every address that the strides span.
    unsafe {
        if tile.resume {
            for r in 0..ROWS {
                let c = tile.c.wrapping_add(r.wrapping_mul(tile.c_stride));
                acc[r] = [
                    c.cast::<__m256>().read_unaligned(),
                    c.wrapping_add(8).cast::<__m256>().read_unaligned(),
                ];
            }
        }
        let mut a = [tile.a; 2];
        a[1] = a[1].wrapping_add(tile.row_stride.wrapping_mul(3));
        let mut b = tile.b;
        for _ in 0..tile.k {
            let low = b.cast::<__m256>().read_unaligned();
            let high = b.wrapping_add(8).cast::<__m256>().read_unaligned();
            for r in 0..ROWS {
                let x = a[r / 3]
                    .wrapping_add(tile.row_stride.wrapping_mul(r % 3))
                    .read_unaligned();
                let x = _mm256_set1_ps(x);
                acc[r] = [_mm256_fmadd_ps(x, low, acc[r][0]), _mm256_fmadd_ps(x, high, acc[r][1])];
            }
            for pointer in &mut a {
                *pointer = pointer.wrapping_add(tile.k_stride);
            }
            b = b.wrapping_add(PANEL);
        }
        for r in 0..ROWS {
            let c = tile.c.wrapping_add(r.wrapping_mul(tile.c_stride));
            c.cast::<__m256>().write_unaligned(acc[r][0]);
            c.wrapping_add(8).cast::<__m256>().write_unaligned(acc[r][1]);
        }
    }
}

unsafe fn portable<const ROWS: usize, const PANELS: usize>(tile: Tile) {
    const { assert!(PANELS == 1) };
    let mut acc = [[0.0_f32; PANEL]; ROWS];
    // SAFETY: the caller vouches for every address that the strides span.
    unsafe {
        if tile.resume {
            for r in 0..ROWS {
                let c = tile.c.wrapping_add(r.wrapping_mul(tile.c_stride));
                acc[r] = c.cast::<[f32; PANEL]>().read_unaligned();
            }
        }
        for k in 0..tile.k {
            let column = tile
                .b
                .wrapping_add(k.wrapping_mul(PANEL))
                .cast::<[f32; PANEL]>()
                .read_unaligned();
            let a = tile.a.wrapping_add(k.wrapping_mul(tile.k_stride));
            for r in 0..ROWS {
                let x = a.wrapping_add(r.wrapping_mul(tile.row_stride)).read_unaligned();
                for i in 0..PANEL {
                    acc[r][i] = x.mul_add(column[i], acc[r][i]);
                }
            }
        }
        for r in 0..ROWS {
            let c = tile.c.wrapping_add(r.wrapping_mul(tile.c_stride));
            c.cast::<[f32; PANEL]>().write_unaligned(acc[r]);
        }
    }
}
