//! Travelling salesman: nearest neighbour from every city, then 2-opt.

use serde::{Deserialize, Serialize};

use super::random::Random;
use super::{Goal, NOT_IDS, Task, marked, size_fits, weights_fit};

/// Most rounds of 2-opt over a tour.
const ROUNDS: usize = 64;

/// Cities and the distances between them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tour {
    /// Row by row, the same in both directions; the diagonal is not used.
    pub distances: Vec<Vec<u32>>,
}

impl Tour {
    fn length(&self, order: &[u32]) -> u64 {
        let next = order.iter().cycle().skip(1);
        let legs = order.iter().zip(next);
        legs.map(|(&a, &b)| u64::from(self.distances[a as usize][b as usize]))
            .sum()
    }

    fn nearest(&self, start: usize) -> Vec<u32> {
        let count = self.distances.len();
        let mut left: Vec<usize> = (0..count).filter(|&city| city != start).collect();
        let mut order = vec![start as u32];
        let mut here = start;
        while let Some((at, &city)) = left
            .iter()
            .enumerate()
            .min_by_key(|&(_, &city)| self.distances[here][city])
        {
            order.push(city as u32);
            here = city;
            left.remove(at);
        }
        order
    }

    /// Turns parts round while that shortens the tour, at most so many rounds.
    fn two_opt(&self, order: &mut [u32]) {
        let count = order.len();
        let distance = |a: u32, b: u32| u64::from(self.distances[a as usize][b as usize]);
        for _ in 0..ROUNDS {
            let mut better = false;
            for from in 1..count.saturating_sub(1) {
                for to in from + 1..count {
                    let (before, after) = (order[from - 1], order[(to + 1) % count]);
                    let old = distance(before, order[from]) + distance(order[to], after);
                    let new = distance(before, order[to]) + distance(order[from], after);
                    if new < old {
                        order[from..=to].reverse();
                        better = true;
                    }
                }
            }
            if !better {
                break;
            }
        }
    }
}

impl Task for Tour {
    const GOAL: Goal = Goal::Least;

    fn generate(size: usize, random: &mut Random) -> Self {
        let places: Vec<(i64, i64)> = (0..size)
            .map(|_| (i64::from(random.between(0, 999)), i64::from(random.between(0, 999))))
            .collect();
        let distance = |a: &(i64, i64), b: &(i64, i64)| {
            let square = (a.0 - b.0).pow(2) + (a.1 - b.1).pow(2);
            (square as u64).isqrt().max(1) as u32
        };
        let row = |a| places.iter().map(|b| distance(a, b)).collect();
        Self {
            distances: places.iter().map(row).collect(),
        }
    }

    fn check(&self) -> Result<(), &'static str> {
        let rows = &self.distances;
        size_fits(rows.len())?;
        if rows.len() < 2 || rows.iter().any(|row| row.len() != rows.len()) {
            return Err("`distances` is a square of at least two rows");
        }
        let pairs = || (0..rows.len()).flat_map(|a| (0..a).map(move |b| (a, b)));
        if pairs().any(|(a, b)| rows[a][b] != rows[b][a]) {
            return Err("`distances` are the same in both directions");
        }
        weights_fit(pairs().map(|(a, b)| rows[a][b]))
    }

    fn objective(&self, answer: &[u32]) -> Result<u64, &'static str> {
        // A tour may say where it began once more.
        let count = self.distances.len();
        let order = match answer {
            [first, middle @ .., last] if first == last && middle.len() + 1 == count => &answer[..count],
            order => order,
        };
        marked(order, count).ok_or(NOT_IDS)?;
        if order.len() != count {
            return Err("a city is missing");
        }
        Ok(self.length(order))
    }

    fn reference(&self) -> Option<Vec<u32>> {
        let starts = 0..self.distances.len();
        let tours = starts.map(|start| {
            let mut order = self.nearest(start);
            self.two_opt(&mut order);
            order
        });
        tours.min_by_key(|order| self.length(order))
    }

    fn question(&self) -> String {
        let rows: Vec<String> = self.distances.iter().map(|row| format!("{row:?}")).collect();
        format!(
            "A traveller visits each of the cities 0 to {} once and returns to the first. The distances, one row for each city: {}. \
             Give the order of cities of a tour as short as you can.",
            self.distances.len().saturating_sub(1),
            rows.join(", ")
        )
    }
}
