//! Minimum vertex cover: what a large independent set leaves.

use serde::{Deserialize, Serialize};

use super::independent_set::independent;
use super::random::Random;
use super::{EMPTY, Goal, Graph, NOT_IDS, Task, ids_where, marked};

/// A graph each of whose edges must have a chosen end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VertexCover {
    /// The graph.
    pub graph: Graph,
}

impl Task for VertexCover {
    const GOAL: Goal = Goal::Least;

    fn generate(size: usize, random: &mut Random) -> Self {
        let graph = Graph::random_with_edge(size, 30, random);
        Self { graph }
    }

    fn check(&self) -> Result<(), &'static str> {
        self.graph.check_with_edge("there is no edge to cover")
    }

    fn objective(&self, answer: &[u32]) -> Result<u64, &'static str> {
        if answer.is_empty() {
            return Err(EMPTY);
        }
        let chosen = marked(answer, self.graph.nodes).ok_or(NOT_IDS)?;
        let covered = |&(a, b): &(u32, u32)| chosen[a as usize] || chosen[b as usize];
        if !self.graph.edges.iter().all(covered) {
            return Err("an edge has no chosen end");
        }
        Ok(answer.len() as u64)
    }

    fn reference(&self) -> Option<Vec<u32>> {
        let apart = independent(&self.graph);
        Some(ids_where(apart.len(), |node| !apart[node]))
    }

    fn question(&self) -> String {
        format!(
            "{} Give as few nodes as you can such that every edge has one of them as an end.",
            self.graph.words()
        )
    }
}
