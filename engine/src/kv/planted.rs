//! Defects that a test plants to show that the simulator finds them, and allocations that it makes fail. Outside of
//! tests nothing is planted and the calls vanish.

/// A defect of block or queue keeping.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Defect {
    /// Sharing a block does not count the reference.
    SkippedReference,
    /// Dropping a handle does not free the block.
    SkippedRelease,
    /// Dropping a handle releases the block twice.
    DoubleRelease,
    /// A shared tail is written in place instead of copied first.
    ForgottenCopy,
    /// Blocks written under two versions enter the prefix index.
    MixedIndexed,
    /// The prefix index forgets under which version a block was written.
    VersionlessIndex,
    /// The prefix index forgets whose block it is.
    SaltlessIndex,
    /// A recomputed sequence keeps its old KV.
    StaleKv,
    /// Samples that waited for an aborted one's prompt wait for ever.
    LostHeir,
    /// Nobody counts who is overtaken.
    ForgottenOvertakes,
    /// A fork counts its parent's rows as written, and shares no blocks.
    ForkedWithoutBlocks,
    /// A fork that begins before the parent's last indexed block goes on in the index from that block.
    ForkedPastCursor,
    /// A cached block that a fork goes on from in its middle is written in place.
    CachedTail,
    /// A fork is to score its prompt as its parent was.
    ForkedScores,
    /// Rows of a pinned sequence are noted as those of the next version.
    PinnedIndexed,
    /// A publish moves pinned sequences too.
    PinnedMoved,
}

/// Whether `defect` is planted.
#[cfg(not(test))]
#[inline]
pub(crate) const fn planted(_: Defect) -> bool {
    false
}

/// Whether the next reservation is to fail.
#[cfg(not(test))]
#[inline]
pub(crate) const fn denied() -> bool {
    false
}

#[cfg(test)]
pub(crate) use planting::{denials, denied, deny, plant, planted};

#[cfg(test)]
mod planting {
    use std::cell::Cell;

    use super::Defect;

    thread_local! {
        static DEFECT: Cell<Option<Defect>> = const { Cell::new(None) };
        static DENIALS: Cell<usize> = const { Cell::new(0) };
    }

    /// Whether `defect` is planted.
    pub(crate) fn planted(defect: Defect) -> bool {
        DEFECT.get() == Some(defect)
    }

    /// Plants a defect in this thread, or none.
    pub(crate) fn plant(defect: Option<Defect>) {
        DEFECT.set(defect);
    }

    /// Makes the next `count` reservations of this thread fail.
    pub(crate) fn deny(count: usize) {
        DENIALS.set(count);
    }

    /// Reservations that are still to fail.
    pub(crate) fn denials() -> usize {
        DENIALS.get()
    }

    /// Whether the next reservation is to fail.
    pub(crate) fn denied() -> bool {
        let left = DENIALS.get();
        DENIALS.set(left.saturating_sub(1));
        left > 0
    }
}
