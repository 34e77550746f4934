//! Maximum independent set: the node with the fewest open neighbours first, from every node.

use serde::{Deserialize, Serialize};

use super::random::Random;
use super::{EMPTY, Goal, Graph, NOT_IDS, Task, ids_where, marked};

/// A graph of whose nodes no two chosen ones may be neighbours.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IndependentSet {
    /// The graph.
    pub graph: Graph,
}

/// The nodes that a greedy choice takes after `first`.
fn greedy(neighbours: &[Vec<usize>], first: usize) -> Vec<bool> {
    let count = neighbours.len();
    let (mut open, mut chosen) = (vec![true; count], vec![false; count]);
    let mut next = Some(first);
    while let Some(node) = next {
        (chosen[node], open[node]) = (true, false);
        neighbours[node].iter().for_each(|&other| open[other] = false);
        let degree = |node: &usize| neighbours[*node].iter().filter(|&&other| open[other]).count();
        next = (0..count).filter(|&node| open[node]).min_by_key(degree);
    }
    chosen
}

/// A large set of nodes of which no two are neighbours.
pub(super) fn independent(graph: &Graph) -> Vec<bool> {
    let neighbours = graph.neighbours();
    let found = (0..graph.nodes).map(|first| greedy(&neighbours, first));
    found
        .max_by_key(|chosen| chosen.iter().filter(|&&chosen| chosen).count())
        .unwrap_or_default()
}

impl Task for IndependentSet {
    const GOAL: Goal = Goal::Most;

    fn generate(size: usize, random: &mut Random) -> Self {
        Self {
            graph: Graph::random(size, 30, random),
        }
    }

    fn check(&self) -> Result<(), &'static str> {
        self.graph.check()
    }

    fn objective(&self, answer: &[u32]) -> Result<u64, &'static str> {
        if answer.is_empty() {
            return Err(EMPTY);
        }
        let chosen = marked(answer, self.graph.nodes).ok_or(NOT_IDS)?;
        let both = |&(a, b): &(u32, u32)| chosen[a as usize] && chosen[b as usize];
        if self.graph.edges.iter().any(both) {
            return Err("two of the nodes are neighbours");
        }
        Ok(answer.len() as u64)
    }

    fn reference(&self) -> Option<Vec<u32>> {
        let chosen = independent(&self.graph);
        Some(ids_where(chosen.len(), |node| chosen[node]))
    }

    fn question(&self) -> String {
        format!(
            "{} Give as many nodes as you can of which no two are neighbours.",
            self.graph.words()
        )
    }
}
