//! One task of a product: a range of rows times a range of panels.
#![allow(unsafe_code)]

use std::cell::Cell;
use std::ops::Range;

use super::element::{Row, Wide};
use super::kernel::{self, Ahead, LINE, Tile};
use super::left::{Rows, tile_rows, tiles};
use super::{Panels, Sink};
use crate::ops::simd::isa;

/// Most terms of a pass over several tiles, whose widened panel stays in the first-level cache.
const PASS_TERMS: usize = 192;
/// Most bytes of B in a pass of a single tile, which asks for those of the next pass meanwhile.
const SINGLE_BYTES: usize = 6 << 10;

/// Buffers of a task.
#[derive(Default)]
struct Buffers {
    left: Vec<f32>,
    /// The product and the first row that `left` was packed for.
    packed_for: Option<(u64, usize)>,
    sums: Vec<Wide>,
    widened: Vec<Wide>,
}

thread_local! {
    /// Kept from task to task. A task takes them out, so another one on the same thread meanwhile finds none.
    static BUFFERS: Cell<Buffers> = Cell::default();
}

/// Rows of a product.
pub(super) struct Product<'a, T> {
    /// No other product of this process has this number.
    pub(super) number: u64,
    pub(super) rows: Range<usize>,
    /// Terms of B; A has these only.
    pub(super) terms: Range<usize>,
    pub(super) a: &'a dyn Rows,
    pub(super) b: &'a Panels<T>,
    pub(super) out: &'a dyn Sink,
}

impl<T: Row> Product<'_, T> {
    /// Computes the panels `panels`; `packed` holds the rows if they have been packed already.
    pub(super) fn run(&self, panels: Range<usize>, packed: Option<&[f32]>) {
        let Buffers {
            mut left,
            packed_for,
            mut sums,
            mut widened,
        } = BUFFERS.take();
        let wanted = Some((self.number, self.rows.start));
        if packed.is_none() && packed_for != wanted {
            left.resize(self.rows.len() * self.terms.len(), 0.0);
            pack(self.a, &self.rows, self.terms.len(), &mut left);
        }
        let packed_for = if packed.is_none() { wanted } else { packed_for };
        let packed = packed.unwrap_or(&left);
        sums.resize(self.rows.len(), Wide::default());
        for panel in panels {
            let resume = self.out.start(self.rows.clone(), panel, &mut sums);
            self.panel(panel, packed, &mut sums, resume, &mut widened);
            self.out.finish(self.rows.clone(), panel, &mut sums);
        }
        BUFFERS.set(Buffers {
            left,
            packed_for,
            sums,
            widened,
        });
    }

    /// All terms of one panel, pass by pass. Partial sums wait in `sums` between passes, which does not change them.
    fn panel(&self, panel: usize, packed: &[f32], sums: &mut [Wide], resume: bool, widened: &mut Vec<Wide>) {
        let (tiles, k) = (tiles(&self.rows), self.terms.len());
        let most = match tiles {
            1 => SINGLE_BYTES / size_of::<T>(),
            2 => PASS_TERMS / 2,
            _ => PASS_TERMS,
        };
        let pass = k.div_ceil(k.div_ceil(most));
        // The first tile of a narrow pass widens for the others.
        widened.resize(if T::NARROW && tiles > 1 { pass } else { 0 }, Wide::default());
        for (at, b) in self.b.panel(panel)[self.terms.clone()].chunks(pass).enumerate() {
            let terms = at * pass..at * pass + b.len();
            let next = if terms.end < k {
                b.as_ptr_range().end
            } else {
                self.b
                    .rows
                    .as_ptr()
                    .wrapping_add((panel + 1) * self.b.k + self.terms.start)
            };
            let (mut first, set) = (self.rows.start, isa());
            for (index, rows) in tile_rows(&self.rows, tiles).enumerate() {
                let height = rows.len();
                let a = &packed[(first - self.rows.start) * k..][terms.start * height..terms.end * height];
                let sums = &mut sums[first - self.rows.start..][..height];
                first += height;
                let (resume, ahead) = (resume || at > 0, ahead(next, b.len(), index, tiles));
                // SAFETY: `isa` has found the set on this machine.
                unsafe {
                    if index > 0 && T::NARROW {
                        let (b, widened) = (&widened[..b.len()], &mut [][..]);
                        kernel::run(
                            set,
                            &mut Tile {
                                a,
                                b,
                                sums,
                                resume,
                                widened,
                                ahead,
                            },
                        );
                    } else {
                        let length = widened.len().min(b.len());
                        let widened = &mut widened[..length];
                        kernel::run(
                            set,
                            &mut Tile {
                                a,
                                b,
                                sums,
                                resume,
                                widened,
                                ahead,
                            },
                        );
                    }
                }
            }
        }
    }
}

/// The share of tile `index` of the `terms` at `next`, which the next pass reads.
fn ahead<T>(next: *const T, terms: usize, index: usize, tiles: usize) -> Ahead {
    Ahead {
        at: next.cast::<u8>().wrapping_add(terms * size_of::<T>() * index / tiles),
        step: LINE.div_ceil(tiles),
    }
}

/// Packs `rows`, tile by tile.
fn pack(a: &dyn Rows, rows: &Range<usize>, k: usize, out: &mut [f32]) {
    let mut left = out;
    for tile in tile_rows(rows, tiles(rows)) {
        let (part, others) = left.split_at_mut(tile.len() * k);
        left = others;
        a.pack(tile, part);
    }
}
