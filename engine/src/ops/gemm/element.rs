//! How the elements of a right operand are stored.

/// Columns of a panel.
pub(crate) const PANEL: usize = 32;
/// Columns that one vector holds.
pub(crate) const HALF: usize = PANEL / 2;

/// A panel's 32 columns in f32, in one row. Aligned, so that no vector straddles two cache lines.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
#[repr(C, align(64))]
pub(crate) struct Wide(pub(crate) [[f32; HALF]; 2]);

/// The same rounded to bf16: the lower half of word `i` is column `i`, the upper half column `16 + i`, so that widening
/// to two vectors is a shift and a mask.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
#[repr(C, align(64))]
pub(crate) struct Words([u32; HALF]);

/// A stored row of a panel; widening to f32 is exact.
pub(crate) trait Row: Copy + Default + PartialEq + Send + Sync + 'static {
    /// Widening takes instructions.
    const NARROW: bool;

    /// The nearest stored values, ties to even.
    fn store(columns: &Wide) -> Self;

    /// The columns of one half in f32.
    fn half<const SIDE: usize>(&self) -> [f32; HALF];

    /// The columns in f32.
    #[inline(always)]
    fn load(&self) -> Wide {
        Wide([self.half::<0>(), self.half::<1>()])
    }
}

impl Row for Wide {
    const NARROW: bool = false;

    #[inline(always)]
    fn store(columns: &Wide) -> Self {
        *columns
    }

    #[inline(always)]
    fn half<const SIDE: usize>(&self) -> [f32; HALF] {
        self.0[SIDE]
    }
}

impl Row for Words {
    const NARROW: bool = true;

    #[inline(always)]
    fn store(columns: &Wide) -> Self {
        let [low, high] = &columns.0;
        Self(std::array::from_fn(|i| word_of(low[i], high[i])))
    }

    #[inline(always)]
    fn half<const SIDE: usize>(&self) -> [f32; HALF] {
        self.0
            .map(|word| f32::from_bits(if SIDE == 0 { word << 16 } else { word & 0xffff_0000 }))
    }
}

/// Two values in bf16, rounded to nearest even.
#[inline(always)]
pub(crate) fn word_of(low: f32, high: f32) -> u32 {
    let bits = |value: f32| u32::from(half::bf16::from_f32(value).to_bits());
    bits(low) | bits(high) << 16
}

/// The nearest value that bf16 holds, ties to even.
pub(crate) fn round_bf16(value: f32) -> f32 {
    half::bf16::from_f32(value).to_f32()
}
