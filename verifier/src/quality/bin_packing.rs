//! Bin packing: first fit, largest items first.

use serde::{Deserialize, Serialize};

use super::random::Random;
use super::{Goal, Task, size_fits, weights_fit};

/// Items that go into bins of one size.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BinPacking {
    /// What a bin holds.
    pub capacity: u32,
    /// Size of each item.
    pub sizes: Vec<u32>,
}

impl Task for BinPacking {
    const GOAL: Goal = Goal::Least;

    fn generate(size: usize, random: &mut Random) -> Self {
        Self {
            capacity: 100,
            sizes: (0..size).map(|_| random.between(10, 70)).collect(),
        }
    }

    fn check(&self) -> Result<(), &'static str> {
        size_fits(self.sizes.len())?;
        weights_fit(self.sizes.iter().copied().chain([self.capacity]))?;
        let fits = self.sizes.iter().all(|&size| size <= self.capacity);
        fits.then_some(()).ok_or("an item is larger than a bin")
    }

    fn objective(&self, answer: &[u32]) -> Result<u64, &'static str> {
        if answer.len() != self.sizes.len() {
            return Err("an item has no bin, or there are more bins than items");
        }
        let mut filled = std::collections::BTreeMap::new();
        for (&bin, &size) in answer.iter().zip(&self.sizes) {
            *filled.entry(bin).or_insert(0u64) += u64::from(size);
        }
        if filled.values().any(|&sum| sum > u64::from(self.capacity)) {
            return Err("a bin is too full");
        }
        Ok(filled.len() as u64)
    }

    fn reference(&self) -> Option<Vec<u32>> {
        let mut order: Vec<usize> = (0..self.sizes.len()).collect();
        order.sort_by_key(|&item| std::cmp::Reverse(self.sizes[item]));
        let (mut rooms, mut bins): (Vec<u32>, Vec<u32>) = (Vec::new(), vec![0; self.sizes.len()]);
        for item in order {
            let size = self.sizes[item];
            let bin = rooms.iter().position(|&room| room >= size).unwrap_or_else(|| {
                rooms.push(self.capacity);
                rooms.len() - 1
            });
            rooms[bin] = rooms[bin].checked_sub(size)?;
            bins[item] = bin as u32;
        }
        Some(bins)
    }

    fn question(&self) -> String {
        format!(
            "Items of the sizes {:?} go into bins that hold {} each. Use as few bins as you can. Give the bin of each item in order, \
             as numbers from 0.",
            self.sizes, self.capacity
        )
    }
}
