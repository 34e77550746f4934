//! Graph colouring: DSATUR.

use serde::{Deserialize, Serialize};

use super::random::Random;
use super::{Goal, Graph, Task};

/// A graph whose nodes get colours.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Colouring {
    /// The graph.
    pub graph: Graph,
}

impl Task for Colouring {
    const GOAL: Goal = Goal::Least;

    fn generate(size: usize, random: &mut Random) -> Self {
        Self {
            graph: Graph::random(size, 35, random),
        }
    }

    fn check(&self) -> Result<(), &'static str> {
        self.graph.check()
    }

    fn objective(&self, answer: &[u32]) -> Result<u64, &'static str> {
        if answer.len() != self.graph.nodes {
            return Err("a node has no colour, or there are more colours than nodes");
        }
        if self
            .graph
            .edges
            .iter()
            .any(|&(a, b)| answer[a as usize] == answer[b as usize])
        {
            return Err("neighbours have the same colour");
        }
        let mut colours = answer.to_vec();
        colours.sort_unstable();
        colours.dedup();
        Ok(colours.len() as u64)
    }

    /// Each time the node that sees the most colours, of those the one with the most neighbours, in the least colour free.
    ///
    /// # Source
    /// Brélaz: New methods to color the vertices of a graph, CACM 1979.
    fn reference(&self) -> Option<Vec<u32>> {
        let (count, neighbours) = (self.graph.nodes, self.graph.neighbours());
        let mut colours: Vec<Option<u32>> = vec![None; count];
        let mut seen = vec![vec![false; count + 1]; count];
        for _ in 0..count {
            let open = (0..count).filter(|&node| colours[node].is_none());
            let saturation = |node: usize| seen[node].iter().filter(|&&seen| seen).count();
            let node = open.max_by_key(|&node| (saturation(node), neighbours[node].len(), std::cmp::Reverse(node)))?;
            let free = seen[node].iter().position(|&seen| !seen)?;
            colours[node] = Some(free as u32);
            neighbours[node].iter().for_each(|&other| seen[other][free] = true);
        }
        colours.into_iter().collect()
    }

    fn question(&self) -> String {
        format!(
            "{} Colour the nodes so that no two neighbours have the same colour, with as few colours as you can. Give the colour \
             of each node in order, as numbers from 1.",
            self.graph.words()
        )
    }
}
