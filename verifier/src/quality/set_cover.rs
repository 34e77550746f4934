//! Set cover: the set with the most new elements each time, then sets that the others make needless are left out.

use serde::{Deserialize, Serialize};

use super::random::Random;
use super::{Goal, MAX_SIZE, NOT_IDS, Task, ids_where, marked, size_fits};

/// Sets of the elements 0 to `elements` - 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetCover {
    /// Number of elements.
    pub elements: usize,
    /// The sets, each element at most once.
    pub sets: Vec<Vec<u32>>,
}

impl SetCover {
    fn covers(&self, chosen: &[bool]) -> bool {
        let mut covered = vec![false; self.elements];
        let sets = self.sets.iter().zip(chosen).filter(|(_, chosen)| **chosen);
        sets.flat_map(|(set, _)| set)
            .for_each(|&element| covered[element as usize] = true);
        covered.into_iter().all(|covered| covered)
    }
}

impl Task for SetCover {
    const GOAL: Goal = Goal::Least;

    /// Half as many sets as elements; what no set has is put into some.
    fn generate(size: usize, random: &mut Random) -> Self {
        let count = size.div_ceil(2);
        let mut sets: Vec<Vec<u32>> = (0..count)
            .map(|_| (0..size as u32).filter(|_| random.chance(25)).collect())
            .collect();
        for element in 0..size as u32 {
            if !sets.iter().any(|set| set.contains(&element)) {
                let set = random.between(0, count as u32 - 1) as usize;
                sets[set].push(element);
                sets[set].sort_unstable();
            }
        }
        sets.retain(|set| !set.is_empty());
        Self { elements: size, sets }
    }

    fn check(&self) -> Result<(), &'static str> {
        size_fits(self.elements)?;
        size_fits(self.sets.len())?;
        let fits = |set: &Vec<u32>| set.len() <= MAX_SIZE && marked(set, self.elements).is_some();
        if !self.sets.iter().all(fits) {
            return Err("a set has numbers of elements, each once");
        }
        let covered = self.covers(&vec![true; self.sets.len()]);
        covered.then_some(()).ok_or("an element is in no set")
    }

    fn objective(&self, answer: &[u32]) -> Result<u64, &'static str> {
        let chosen = marked(answer, self.sets.len()).ok_or(NOT_IDS)?;
        if !self.covers(&chosen) {
            return Err("an element is in none of the sets");
        }
        Ok(answer.len() as u64)
    }

    fn reference(&self) -> Option<Vec<u32>> {
        let (mut covered, mut chosen) = (vec![false; self.elements], vec![false; self.sets.len()]);
        while covered.contains(&false) {
            let gain = |set: &Vec<u32>| set.iter().filter(|&&element| !covered[element as usize]).count();
            let (best, _) = self
                .sets
                .iter()
                .enumerate()
                .max_by_key(|(at, set)| (gain(set), std::cmp::Reverse(*at)))?;
            if gain(&self.sets[best]) == 0 {
                return None;
            }
            chosen[best] = true;
            self.sets[best]
                .iter()
                .for_each(|&element| covered[element as usize] = true);
        }
        for at in 0..chosen.len() {
            let was = std::mem::replace(&mut chosen[at], false);
            if was && !self.covers(&chosen) {
                chosen[at] = true;
            }
        }
        Some(ids_where(chosen.len(), |at| chosen[at]))
    }

    fn question(&self) -> String {
        let sets: Vec<String> = self
            .sets
            .iter()
            .enumerate()
            .map(|(at, set)| format!("{at}: {set:?}"))
            .collect();
        format!(
            "There are the elements 0 to {} and these sets of them: {}. Give the numbers of as few sets as you can that together \
             have every element.",
            self.elements.saturating_sub(1),
            sets.join("; ")
        )
    }
}
