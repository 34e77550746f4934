//! How work is spread over threads: by independent pieces only, so that results never depend on it.
#![allow(unsafe_code)]

use std::marker::PhantomData;

use super::team;

/// Whether a kernel may use this thread's [`super::Team`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Par {
    /// Stay on this thread.
    Serial,
    /// Spread over the team.
    Pool,
}

impl Par {
    /// Threads that may work.
    pub(crate) fn threads(self) -> usize {
        match self {
            Self::Serial => 1,
            Self::Pool => team::threads(),
        }
    }

    /// Runs `piece(i)` for every `i < count`, in any order and on any thread.
    pub(crate) fn each(self, count: usize, piece: impl Fn(usize) + Sync) {
        match self {
            Self::Serial => (0..count).for_each(piece),
            Self::Pool => team::each(count, &piece),
        }
    }

    /// `one(i)` for every `i < count`, in order of `i`.
    pub(crate) fn collect<T: Send + Default>(self, count: usize, one: impl Fn(usize) -> T + Sync) -> Vec<T> {
        let mut results: Vec<T> = std::iter::repeat_with(T::default).take(count).collect();
        self.rows(&mut results, 1, 0, |first, results| {
            for (i, result) in (first..).zip(results) {
                *result = one(i);
            }
        });
        results
    }

    /// Splits `rows` (each `width` long) into runs for the threads and calls `piece(first_row, rows)` on each.
    /// Stays serial when there are fewer than `least` elements.
    pub(crate) fn rows<T: Send>(
        self,
        rows: &mut [T],
        width: usize,
        least: usize,
        piece: impl Fn(usize, &mut [T]) + Sync,
    ) {
        if width == 0 || rows.is_empty() {
            return;
        }
        let threads = self.threads();
        if threads == 1 || rows.len() < least {
            return piece(0, rows);
        }
        let len = rows.len();
        let run = (len / width).div_ceil(4 * threads).max(1);
        let shared = Disjoint::new(rows);
        self.each(len.div_ceil(run * width), |i| {
            let first = i * run;
            // SAFETY: runs are disjoint.
            piece(first, unsafe {
                shared.part(first * width..((first + run) * width).min(len))
            });
        });
    }
}

/// Runs `work` on each of `items`, in any order, on this thread's [`super::Team`]: one item at a time, so a team
/// whose cores are lent meanwhile gives them up after one.
pub fn for_each<T: Send>(items: Vec<T>, work: impl Fn(T) + Sync) {
    let mut items: Vec<Option<T>> = items.into_iter().map(Some).collect();
    let count = items.len();
    let shared = Disjoint::new(&mut items);
    Par::Pool.each(count, |i| {
        // SAFETY: each piece has an item of its own.
        if let Some(item) = unsafe { shared.part(i..i + 1) }[0].take() {
            work(item);
        }
    });
}

/// `one(i)` for every `i < count`, in order of `i`, computed by this thread's [`super::Team`].
pub fn map<T: Send>(count: usize, one: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let mut results: Vec<Option<T>> = std::iter::repeat_with(|| None).take(count).collect();
    for_each(results.iter_mut().enumerate().collect(), |(i, result)| {
        *result = Some(one(i))
    });
    results.into_iter().flatten().collect()
}

/// A slice whose disjoint parts are written by several threads at once.
pub(crate) struct Disjoint<'a, T> {
    first: *mut T,
    len: usize,
    slice: PhantomData<&'a mut [T]>,
}

// SAFETY: all access goes through `unsafe` methods whose callers promise disjointness.
unsafe impl<T: Send> Send for Disjoint<'_, T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Disjoint<'_, T> {}

impl<'a, T> Disjoint<'a, T> {
    /// Shares `slice`.
    pub(crate) fn new(slice: &'a mut [T]) -> Self {
        Self {
            first: slice.as_mut_ptr(),
            len: slice.len(),
            slice: PhantomData,
        }
    }

    /// The elements of `range`.
    ///
    /// # Safety
    /// No other live reference covers an element of `range`.
    ///
    /// # Panics
    /// If `range` is out of bounds.
    #[allow(clippy::mut_from_ref)]
    pub(crate) unsafe fn part(&self, range: std::ops::Range<usize>) -> &mut [T] {
        assert!(range.start <= range.end && range.end <= self.len, "part out of bounds");
        // SAFETY: in bounds, and not aliased as the caller promises.
        unsafe { std::slice::from_raw_parts_mut(self.first.wrapping_add(range.start), range.len()) }
    }

    /// The elements of `range`, to read.
    ///
    /// # Safety
    /// No element of `range` is written while the slice lives.
    ///
    /// # Panics
    /// If `range` is out of bounds.
    pub(crate) unsafe fn read(&self, range: std::ops::Range<usize>) -> &[T] {
        assert!(range.start <= range.end && range.end <= self.len, "part out of bounds");
        // SAFETY: in bounds, and not written as the caller promises.
        unsafe { std::slice::from_raw_parts(self.first.wrapping_add(range.start), range.len()) }
    }
}
