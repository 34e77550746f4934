//! Maximum cut: each node goes to the side where fewer of its edges end, until none gains.

use serde::{Deserialize, Serialize};

use super::random::Random;
use super::{Goal, Graph, NOT_IDS, Task, ids_where, marked};

/// A graph whose nodes are put on two sides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MaxCut {
    /// The graph.
    pub graph: Graph,
}

/// Moves nodes while that cuts more edges; each move cuts at least one more, so there are at most as many as edges.
fn climb(neighbours: &[Vec<usize>], side: &mut [bool], edges: usize) {
    for _ in 0..=edges {
        let gains = |node: usize| {
            let same = neighbours[node]
                .iter()
                .filter(|&&other| side[other] == side[node])
                .count();
            2 * same > neighbours[node].len()
        };
        let Some(node) = (0..side.len()).find(|&node| gains(node)) else {
            return;
        };
        side[node] = !side[node];
    }
}

impl MaxCut {
    fn cut(&self, side: &[bool]) -> u64 {
        let crosses = |edge: &&(u32, u32)| side[edge.0 as usize] != side[edge.1 as usize];
        self.graph.edges.iter().filter(crosses).count() as u64
    }
}

impl Task for MaxCut {
    const GOAL: Goal = Goal::Most;

    fn generate(size: usize, random: &mut Random) -> Self {
        let graph = Graph::random_with_edge(size, 40, random);
        Self { graph }
    }

    fn check(&self) -> Result<(), &'static str> {
        self.graph.check_with_edge("there is no edge to cut")
    }

    fn objective(&self, answer: &[u32]) -> Result<u64, &'static str> {
        let side = marked(answer, self.graph.nodes).ok_or(NOT_IDS)?;
        match self.cut(&side) {
            0 => Err("no edge is cut"),
            cut => Ok(cut),
        }
    }

    /// The best of as many climbs from random sides as there are nodes.
    fn reference(&self) -> Option<Vec<u32>> {
        let (neighbours, mut random) = (self.graph.neighbours(), Random::new(0));
        let climbs = (0..self.graph.nodes.min(64)).map(|_| {
            let mut side: Vec<bool> = (0..self.graph.nodes).map(|_| random.chance(50)).collect();
            climb(&neighbours, &mut side, self.graph.edges.len());
            side
        });
        let best = climbs.max_by_key(|side| self.cut(side))?;
        Some(ids_where(best.len(), |node| best[node]))
    }

    fn question(&self) -> String {
        format!(
            "{} Put the nodes on two sides so that as many edges as you can have their ends on different sides. Give the nodes of \
             one side.",
            self.graph.words()
        )
    }
}
