//! Hamiltonian path: extended at the end where it can be, turned round where it cannot.

use serde::{Deserialize, Serialize};

use super::random::Random;
use super::{Goal, Graph, NOT_IDS, Task, marked};

/// Turns of a path for each node, before the search gives up.
const TURNS: usize = 64;

/// A graph with a path through every node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HamiltonianPath {
    /// The graph.
    pub graph: Graph,
}

/// Grows a path from `start`; `None` if the turns run out.
///
/// # Source
/// Pósa: Hamiltonian circuits in random graphs, Discrete Mathematics 1976.
fn grow(neighbours: &[Vec<usize>], start: usize, random: &mut Random) -> Option<Vec<u32>> {
    let count = neighbours.len();
    let (mut path, mut used) = (vec![start], vec![false; count]);
    used[start] = true;
    for _ in 0..TURNS * count {
        if path.len() == count {
            return Some(path.into_iter().map(|node| node as u32).collect());
        }
        let end = *path.last()?;
        let open = |node: &usize| neighbours[*node].iter().filter(|&&other| !used[other]).count();
        let next = neighbours[end]
            .iter()
            .copied()
            .filter(|&node| !used[node])
            .min_by_key(open);
        if let Some(node) = next {
            used[node] = true;
            path.push(node);
            continue;
        }
        // Every neighbour is on the path: what comes after one of them is turned round, which gives another end.
        let turns = u32::try_from(neighbours[end].len()).ok()?.checked_sub(1)?;
        let pivot = neighbours[end][random.between(0, turns) as usize];
        let at = path.iter().position(|&node| node == pivot)?;
        path[at + 1..].reverse();
    }
    None
}

impl Task for HamiltonianPath {
    const GOAL: Goal = Goal::Most;

    /// A path in random order, and further edges.
    fn generate(size: usize, random: &mut Random) -> Self {
        let mut graph = Graph::random(size, 15, random);
        let order = random.order(size);
        for pair in order.windows(2) {
            let edge = (pair[0].min(pair[1]), pair[0].max(pair[1]));
            if !graph.edges.contains(&edge) {
                graph.edges.push(edge);
            }
        }
        graph.edges.sort_unstable();
        Self { graph }
    }

    fn check(&self) -> Result<(), &'static str> {
        self.graph.check()
    }

    /// The number of nodes: feasible answers are equally good.
    fn objective(&self, answer: &[u32]) -> Result<u64, &'static str> {
        marked(answer, self.graph.nodes).ok_or(NOT_IDS)?;
        if answer.len() != self.graph.nodes {
            return Err("a node is missing");
        }
        let joined = self.graph.joined();
        if !answer.windows(2).all(|pair| joined[pair[0] as usize][pair[1] as usize]) {
            return Err("two nodes that follow each other are no neighbours");
        }
        Ok(answer.len() as u64)
    }

    fn reference(&self) -> Option<Vec<u32>> {
        let (neighbours, mut random) = (self.graph.neighbours(), Random::new(0));
        (0..self.graph.nodes).find_map(|start| grow(&neighbours, start, &mut random))
    }

    fn question(&self) -> String {
        format!(
            "{} Give the nodes in the order of a path along edges that visits each of them once.",
            self.graph.words()
        )
    }
}
