//! A count of measurements by size, as Prometheus's histograms have it.

/// Measurements counted by upper bound; what exceeds every bound counts in the sum and the total alone.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Buckets {
    bounds: &'static [f64],
    counts: Vec<u64>,
    total: u64,
    sum: f64,
}

impl Buckets {
    /// No measurement yet, by ascending `bounds`.
    #[must_use]
    pub fn new(bounds: &'static [f64]) -> Self {
        debug_assert!(bounds.is_sorted(), "bounds ascend");
        Self {
            bounds,
            counts: vec![0; bounds.len()],
            total: 0,
            sum: 0.0,
        }
    }

    /// Counts a measurement.
    pub fn add(&mut self, value: f64) {
        if let Some(count) = self.counts.get_mut(self.bounds.partition_point(|bound| *bound < value)) {
            *count += 1;
        }
        self.total += 1;
        self.sum += value;
    }

    /// Each bound with the measurements up to it.
    pub fn cumulative(&self) -> impl Iterator<Item = (f64, u64)> + '_ {
        let up_to = self.counts.iter().scan(0, |up_to, count| {
            *up_to += count;
            Some(*up_to)
        });
        self.bounds.iter().copied().zip(up_to)
    }

    /// Measurements.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Their sum.
    #[must_use]
    pub fn sum(&self) -> f64 {
        self.sum
    }
}

#[test]
fn a_bound_holds_what_equals_it() {
    let mut buckets = Buckets::new(&[1.0, 2.0, 4.0]);
    [0.5, 1.0, 1.5, 4.0, 9.0]
        .into_iter()
        .for_each(|value| buckets.add(value));
    assert_eq!(buckets.cumulative().collect::<Vec<_>>(), [(1.0, 2), (2.0, 3), (4.0, 4)]);
    assert_eq!((buckets.total(), buckets.sum()), (5, 16.0));
}
