//! How the elements of a right operand are stored.

use super::kernel::PANEL;
use crate::ops::simd::multiversion;

/// A stored element; widening to f32 is exact.
pub(crate) trait Element: Copy + Default + Send + Sync + 'static {
    /// The nearest stored value, ties to even.
    fn narrow(value: f32) -> Self;

    /// Widening takes instructions.
    const NARROW: bool;

    /// A row of a panel in f32.
    fn widen(row: &[Self; PANEL]) -> [f32; PANEL];

    /// A panel in f32.
    fn widen_all(panel: &[[Self; PANEL]], out: &mut Vec<[f32; PANEL]>);
}

impl Element for f32 {
    const NARROW: bool = false;

    #[inline(always)]
    fn narrow(value: f32) -> Self {
        value
    }

    #[inline(always)]
    fn widen(row: &[Self; PANEL]) -> [f32; PANEL] {
        *row
    }

    fn widen_all(panel: &[[Self; PANEL]], out: &mut Vec<[f32; PANEL]>) {
        out.clear();
        out.extend_from_slice(panel);
    }
}

/// The upper half of an f32: its sign, its exponent and 7 bits of its fraction.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Bf16(u16);

impl Element for Bf16 {
    const NARROW: bool = true;

    #[inline(always)]
    fn narrow(value: f32) -> Self {
        Self(half::bf16::from_f32(value).to_bits())
    }

    #[inline(always)]
    fn widen(row: &[Self; PANEL]) -> [f32; PANEL] {
        row.map(|x| f32::from_bits(u32::from(x.0) << 16))
    }

    fn widen_all(panel: &[[Self; PANEL]], out: &mut Vec<[f32; PANEL]>) {
        out.resize(panel.len(), [0.0; PANEL]);
        widen_panel(panel, out);
    }
}

multiversion! {
    fn widen_panel(panel: &[[Bf16; PANEL]], out: &mut [[f32; PANEL]]) {
        for (out, row) in out.iter_mut().zip(panel) {
            *out = Bf16::widen(row);
        }
    }
}
