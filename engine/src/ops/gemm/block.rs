//! One task of a product: a range of rows times a range of panel groups.
#![allow(unsafe_code)]

use std::cell::Cell;
use std::ops::Range;

use super::element::Element;
use super::kernel::{self, Ahead, MAX_ROWS, PANEL, Tile, tile_shape};
use super::left::{k_block, pack, tile_rows, tiles};
use super::{Panels, View};
use crate::ops::simd::Isa;

/// Tiles of rows from which on narrow elements are widened once for all tiles instead of in each.
const WIDEN_TILES: usize = 3;

/// Buffers of a task.
#[derive(Default)]
struct Buffers {
    left: Vec<f32>,
    wide: [Vec<[f32; PANEL]>; 2],
}

thread_local! {
    /// Kept from task to task. A task takes them out, so another one on the same thread meanwhile finds none.
    static BUFFERS: Cell<Buffers> = Cell::default();
}

/// Rows of a product.
pub(super) struct Product<'a, T> {
    pub(super) set: Isa,
    pub(super) rows: Range<usize>,
    pub(super) a: View<'a>,
    pub(super) b: &'a Panels<T>,
    /// First element of the whole product's C.
    pub(super) c: *mut f32,
    /// Chains go on from what C holds.
    pub(super) accumulate: bool,
}

/// Some rows times one group of panels over one block of k.
struct Strip<'a> {
    set: Isa,
    rows: &'a Range<usize>,
    tiles: usize,
    terms: usize,
    left: &'a [f32],
    /// C at the group's first column.
    c: *mut f32,
    c_stride: usize,
    /// Panels, and columns of them that exist.
    panels: usize,
    width: usize,
    resume: bool,
    /// Panels of the strip to come, and bytes of a row of them.
    ahead: [*const u8; 2],
    ahead_row: usize,
}

impl<T: Element> Product<'_, T> {
    /// Computes the groups of panels `groups`; `packed` holds the rows if they have been packed already.
    ///
    /// # Safety
    /// The shapes hold as `gemm` checks them, and nothing else accesses these rows and columns of C.
    pub(super) unsafe fn run(&self, groups: Range<usize>, packed: Option<&[f32]>) {
        let (rows, b) = (&self.rows, self.b);
        let (tiles, group) = (tiles(rows), tile_shape().1);
        let all_panels = b.n.div_ceil(PANEL);
        let mut buffers = BUFFERS.take();
        for first in (0..b.k).step_by(k_block(rows, b.k)) {
            let terms = first..(first + k_block(rows, b.k)).min(b.k);
            let left = match packed {
                Some(packed) => &packed[first * rows.len()..terms.end * rows.len()],
                None => {
                    buffers.left.resize(rows.len() * terms.len(), 0.0);
                    pack(self.a, rows, terms.clone(), &mut buffers.left);
                    buffers.left.as_slice()
                }
            };
            for panel in groups.clone().map(|g| g * group) {
                let panels = group.min(all_panels - panel);
                let strip = Strip {
                    set: self.set,
                    rows,
                    tiles,
                    terms: terms.len(),
                    left,
                    c: self.c.wrapping_add(panel * PANEL),
                    c_stride: b.n,
                    panels,
                    width: (panels * PANEL).min(b.n - panel * PANEL),
                    resume: self.accumulate || first > 0,
                    ahead: self.following(panel, &groups, group, &terms),
                    ahead_row: size_of::<[T; PANEL]>(),
                };
                let columns = [panel, panel + panels - 1].map(|panel| &b.panel(panel)[terms.clone()]);
                // SAFETY: passed on to the caller.
                unsafe {
                    if T::NARROW && tiles >= WIDEN_TILES {
                        for (wide, narrow) in buffers.wide.iter_mut().zip(columns) {
                            T::widen_all(narrow, wide);
                        }
                        strip.run([&buffers.wide[0], &buffers.wide[1]]);
                    } else {
                        strip.run(columns);
                    }
                }
            }
        }
        BUFFERS.set(buffers);
    }
}

impl<T: Element> Product<'_, T> {
    /// The panels that come after `panel`: the next group's, else the first group's over the terms to come.
    fn following(&self, panel: usize, groups: &Range<usize>, group: usize, terms: &Range<usize>) -> [*const u8; 2] {
        let next = panel + group;
        let (next, term) = if next < groups.end * group {
            (next, terms.start)
        } else {
            (groups.start * group, terms.end)
        };
        let values = self.b.values.as_ptr();
        [next, next + 1].map(|panel| values.wrapping_add((panel * self.b.k + term) * PANEL).cast())
    }
}

impl Strip<'_> {
    /// # Safety
    /// As [`Product::run`].
    unsafe fn run<T: Element>(&self, columns: [&[[T; PANEL]]; 2]) {
        let mut left = self.left;
        // Every tile asks for its share of the strip to come.
        let share = self.ahead_row * self.terms / self.tiles;
        for (index, rows) in tile_rows(self.rows, self.tiles).enumerate() {
            let (a, others) = left.split_at(rows.len() * self.terms);
            left = others;
            let tile = Tile {
                a,
                b: columns,
                c: self.c.wrapping_add(rows.start * self.c_stride),
                c_stride: self.c_stride,
                resume: self.resume,
                ahead: Ahead {
                    at: self.ahead.map(|at| at.wrapping_add(index * share)),
                    step: self.ahead_row.div_ceil(self.tiles),
                },
            };
            // SAFETY: within the output; an incomplete tile goes through a buffer of its own.
            unsafe {
                if self.width == self.panels * PANEL {
                    kernel::run(self.set, rows.len(), self.panels, tile);
                } else {
                    ragged(self.set, rows.len(), self.panels, self.width, tile);
                }
            }
        }
    }
}

/// A tile at the right edge, whose last panel has fewer than 16 outputs.
///
/// # Safety
/// As [`kernel::run`], with only `width` outputs per row valid.
unsafe fn ragged<T: Element>(set: Isa, rows: usize, panels: usize, width: usize, tile: Tile<'_, T>) {
    const STRIDE: usize = 2 * PANEL;
    let mut buffer = [0.0_f32; MAX_ROWS * STRIDE];
    let edge = |r: usize| tile.c.wrapping_add(r * tile.c_stride);
    // SAFETY: `width` outputs per row are valid in C, and the buffer holds the whole tile.
    unsafe {
        if tile.resume {
            for r in 0..rows {
                std::ptr::copy_nonoverlapping(edge(r), buffer.as_mut_ptr().wrapping_add(r * STRIDE), width);
            }
        }
        kernel::run(
            set,
            rows,
            panels,
            Tile {
                c: buffer.as_mut_ptr(),
                c_stride: STRIDE,
                ..tile
            },
        );
        for r in 0..rows {
            std::ptr::copy_nonoverlapping(buffer.as_ptr().wrapping_add(r * STRIDE), edge(r), width);
        }
    }
}
