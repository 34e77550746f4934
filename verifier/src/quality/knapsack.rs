//! Knapsack: the exact answer by weights where that is small, else greedy by value for weight or the best single item.

use serde::{Deserialize, Serialize};

use super::random::Random;
use super::{EMPTY, Goal, NOT_IDS, Task, ids_where, marked, size_fits, weights_fit};

/// Largest capacity times items for which the exact answer is computed.
const EXACT: usize = 1 << 22;

/// Items and how much they may weigh together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Knapsack {
    /// What the chosen items may weigh.
    pub capacity: u32,
    /// Weight and value of each item.
    pub items: Vec<(u32, u32)>,
}

impl Knapsack {
    /// The best value for every capacity, item by item.
    fn exact(&self) -> Vec<u32> {
        let capacity = self.capacity as usize;
        let mut best = vec![0u64; capacity + 1];
        let mut taken = vec![vec![false; capacity + 1]; self.items.len()];
        for (item, &(weight, value)) in self.items.iter().enumerate() {
            for room in (weight as usize..=capacity).rev() {
                let with = best[room - weight as usize] + u64::from(value);
                if with > best[room] {
                    best[room] = with;
                    taken[item][room] = true;
                }
            }
        }
        let mut room = capacity;
        let mut chosen = vec![false; self.items.len()];
        for item in (0..self.items.len()).rev() {
            if taken[item][room] {
                chosen[item] = true;
                room -= self.items[item].0 as usize;
            }
        }
        ids_where(self.items.len(), |item| chosen[item])
    }

    /// At least half of the best: the greedy choice and the best single item cannot both be less.
    fn greedy(&self) -> Vec<u32> {
        let mut order: Vec<usize> = (0..self.items.len()).collect();
        // Most value for weight first, compared by cross products, which are exact.
        order.sort_by(|&a, &b| {
            let product =
                |value: usize, weight: usize| u64::from(self.items[value].1) * u64::from(self.items[weight].0);
            product(b, a).cmp(&product(a, b))
        });
        let (mut room, mut chosen) = (self.capacity, vec![false; self.items.len()]);
        for item in order {
            if let Some(left) = room.checked_sub(self.items[item].0) {
                (room, chosen[item]) = (left, true);
            }
        }
        let greedy = ids_where(self.items.len(), |item| chosen[item]);
        let fitting = self
            .items
            .iter()
            .zip(0u32..)
            .filter(|(item, _)| item.0 <= self.capacity);
        let single = fitting.max_by_key(|(item, _)| item.1).map(|(_, at)| vec![at]);
        let value = |ids: &[u32]| -> u64 { ids.iter().map(|&item| u64::from(self.items[item as usize].1)).sum() };
        match single {
            Some(single) if value(&single) > value(&greedy) => single,
            _ => greedy,
        }
    }
}

impl Task for Knapsack {
    const GOAL: Goal = Goal::Most;

    fn generate(size: usize, random: &mut Random) -> Self {
        let items: Vec<(u32, u32)> = (0..size)
            .map(|_| (random.between(1, 50), random.between(1, 50)))
            .collect();
        let total: u32 = items.iter().map(|item| item.0).sum();
        let lightest = items.iter().map(|item| item.0).min().unwrap_or(1);
        Self {
            capacity: (total / 2).max(lightest),
            items,
        }
    }

    fn check(&self) -> Result<(), &'static str> {
        size_fits(self.items.len())?;
        weights_fit(self.items.iter().flat_map(|item| [item.0, item.1]))?;
        if self.items.iter().all(|item| item.0 > self.capacity) {
            return Err("no item fits the capacity");
        }
        Ok(())
    }

    fn objective(&self, answer: &[u32]) -> Result<u64, &'static str> {
        if answer.is_empty() {
            return Err(EMPTY);
        }
        marked(answer, self.items.len()).ok_or(NOT_IDS)?;
        let sum = |part: fn(&(u32, u32)) -> u32| -> u64 {
            answer
                .iter()
                .map(|&item| u64::from(part(&self.items[item as usize])))
                .sum()
        };
        if sum(|item| item.0) > u64::from(self.capacity) {
            return Err("the items are too heavy");
        }
        Ok(sum(|item| item.1))
    }

    fn reference(&self) -> Option<Vec<u32>> {
        let table = (self.capacity as usize)
            .saturating_add(1)
            .saturating_mul(self.items.len());
        Some(if table <= EXACT { self.exact() } else { self.greedy() })
    }

    fn question(&self) -> String {
        let items: Vec<String> = self
            .items
            .iter()
            .enumerate()
            .map(|(at, (weight, value))| format!("{at}: weight {weight}, value {value}"))
            .collect();
        format!(
            "A knapsack carries a weight of {}. The items are {}. Give the numbers of items of as much value as you can that it carries.",
            self.capacity,
            items.join("; ")
        )
    }
}
