//! Undirected graphs.

use serde::{Deserialize, Serialize};

use super::random::Random;
use super::size_fits;

/// Nodes 0 to `nodes` - 1 and the edges between them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Graph {
    /// Number of nodes.
    pub nodes: usize,
    /// Pairs of different nodes, each pair once.
    pub edges: Vec<(u32, u32)>,
}

impl Graph {
    /// Every pair is an edge in `percent` of a hundred cases.
    pub(super) fn random(nodes: usize, percent: u32, random: &mut Random) -> Self {
        let pairs = (0..nodes as u32).flat_map(|a| (a + 1..nodes as u32).map(move |b| (a, b)));
        Self {
            nodes,
            edges: pairs.filter(|_| random.chance(percent)).collect(),
        }
    }

    pub(super) fn check(&self) -> Result<(), &'static str> {
        size_fits(self.nodes)?;
        let mut seen = vec![false; self.nodes * self.nodes];
        for &(a, b) in &self.edges {
            let (low, high) = (a.min(b) as usize, a.max(b) as usize);
            if low == high || high >= self.nodes || std::mem::replace(&mut seen[low * self.nodes + high], true) {
                return Err("edges are pairs of different nodes, each pair once");
            }
        }
        Ok(())
    }

    /// As [`Graph::random`], with an edge at least.
    pub(super) fn random_with_edge(nodes: usize, percent: u32, random: &mut Random) -> Self {
        let mut graph = Self::random(nodes, percent, random);
        if graph.edges.is_empty() {
            graph.edges.push((0, 1));
        }
        graph
    }

    /// As [`Graph::check`], and there must be an edge.
    pub(super) fn check_with_edge(&self, none: &'static str) -> Result<(), &'static str> {
        self.check()?;
        if self.edges.is_empty() { Err(none) } else { Ok(()) }
    }

    /// Neighbours of each node.
    pub(super) fn neighbours(&self) -> Vec<Vec<usize>> {
        let mut lists = vec![Vec::new(); self.nodes];
        for &(a, b) in &self.edges {
            lists[a as usize].push(b as usize);
            lists[b as usize].push(a as usize);
        }
        lists
    }

    /// Whether two nodes are joined, as rows.
    pub(super) fn joined(&self) -> Vec<Vec<bool>> {
        let mut rows = vec![vec![false; self.nodes]; self.nodes];
        for &(a, b) in &self.edges {
            rows[a as usize][b as usize] = true;
            rows[b as usize][a as usize] = true;
        }
        rows
    }

    pub(super) fn words(&self) -> String {
        let edges: Vec<String> = self.edges.iter().map(|(a, b)| format!("{a}-{b}")).collect();
        format!(
            "A graph has the nodes 0 to {} and the edges {}.",
            self.nodes.saturating_sub(1),
            edges.join(", ")
        )
    }
}
