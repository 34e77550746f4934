//! Which problems a step gets: seeded shuffles of the whole set, one after the other, dropping none.

use crate::seeds::{SplitMix, derive};

/// Positions among `len` of `count` problems after the `first` ones drawn. Epochs follow each other without a gap: a batch
/// at the end of one is filled from the next, so a problem may come twice in that batch.
pub(super) fn positions(len: usize, first: u64, count: usize, seed: u64) -> Vec<usize> {
    let mut order: (u64, Vec<usize>) = (u64::MAX, Vec::new());
    let draw = |at: u64| {
        let epoch = at / len as u64;
        if order.0 != epoch {
            let mut fresh: Vec<usize> = (0..len).collect();
            SplitMix::new(derive(&["epoch", &seed.to_string(), &epoch.to_string()])).shuffle(&mut fresh);
            order = (epoch, fresh);
        }
        order.1[(at % len as u64) as usize]
    };
    (first..first + count as u64).map(draw).collect()
}

/// The epoch of the next problem after the `first` ones drawn.
pub(super) fn epoch(len: usize, first: u64) -> u64 {
    first / len as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_visits_every_problem_once_and_no_tail_is_dropped() {
        let drawn: Vec<usize> = (0..7).flat_map(|step| positions(10, 3 * step, 3, 5)).collect();
        let mut first = drawn[..10].to_vec();
        let mut second = drawn[10..20].to_vec();
        assert_ne!(first, second);
        first.sort_unstable();
        second.sort_unstable();
        assert_eq!(first, (0..10).collect::<Vec<_>>());
        assert_eq!(second, first);
        assert_eq!(
            positions(10, 12, 3, 5),
            positions(10, 0, 15, 5)[12..],
            "problems depend on how many were drawn, not on the batches"
        );
        assert_ne!(positions(10, 0, 10, 5), positions(10, 0, 10, 6));
        assert_eq!((epoch(10, 9), epoch(10, 12)), (0, 1));
    }
}
