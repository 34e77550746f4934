//! Which full blocks can be reused: a tree of 16-token edges under one root per (weight version, cache salt).
//!
//! A node is found by its parent's identity and its sixteen tokens, compared exactly: a hash collision cannot hand out a
//! wrong block. A sequence that holds a node's block holds those of all its ancestors, so unreferenced nodes form whole
//! subtrees and evicting leaves, least recently used first, never strands a node.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::BLOCK_TOKENS;
use super::planted::{Defect, planted};
use super::pool::{Block, CachedBlock};

/// Identity of a node; never reused.
pub(super) type NodeId = u64;
type Edge = [u32; BLOCK_TOKENS];
type RootKey = (u64, Option<Arc<str>>);

#[derive(Debug)]
struct Node {
    parent: NodeId,
    edge: Edge,
    block: CachedBlock,
    children: usize,
    used: u64,
}

#[derive(Debug)]
struct Root {
    key: RootKey,
    children: usize,
}

/// The index. Bounded by the pool: each node holds a block of its own.
#[derive(Debug, Default)]
pub(super) struct PrefixIndex {
    roots: HashMap<RootKey, NodeId>,
    root_keys: HashMap<NodeId, Root>,
    nodes: HashMap<NodeId, Node>,
    edges: HashMap<(NodeId, Edge), NodeId>,
    leaves: BTreeSet<(u64, NodeId)>,
    tick: u64,
    next: NodeId,
}

impl PrefixIndex {
    pub(super) fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Blocks of the longest indexed prefix of `tokens`, and its last node.
    pub(super) fn longest(
        &mut self,
        version: u64,
        salt: Option<&Arc<str>>,
        tokens: &[u32],
    ) -> (Vec<Block>, Option<NodeId>) {
        let mut blocks = Vec::new();
        let Some(&root) = self.roots.get(&root_key(version, salt)) else {
            return (blocks, None);
        };
        self.tick += 1;
        let mut at = root;
        for edge in tokens.chunks_exact(BLOCK_TOKENS) {
            let Some(&node) = self.edges.get(&(at, edge_of(edge))) else {
                break;
            };
            blocks.push(self.nodes[&node].block.lease());
            self.touch(node);
            at = node;
        }
        let found = !blocks.is_empty();
        (blocks, found.then_some(at))
    }

    /// The root of a version and salt, made if missing. It lives as long as it has children.
    fn root(&mut self, version: u64, salt: Option<&Arc<str>>) -> NodeId {
        let key = root_key(version, salt);
        if let Some(&root) = self.roots.get(&key) {
            return root;
        }
        self.next += 1;
        self.roots.insert(key.clone(), self.next);
        self.root_keys.insert(self.next, Root { key, children: 0 });
        self.next
    }

    /// Enters `block` under `parent` (`None`: the root of version and salt). Returns the node and, if these tokens were
    /// indexed already, the block to use instead. `None` if `parent` is gone or the block is cached elsewhere.
    pub(super) fn insert(
        &mut self,
        parent: Option<NodeId>,
        (version, salt): (u64, Option<&Arc<str>>),
        tokens: &[u32],
        block: &Block,
    ) -> Option<(NodeId, Option<Block>)> {
        let parent = parent.unwrap_or_else(|| self.root(version, salt));
        let edge = edge_of(tokens);
        self.tick += 1;
        if let Some(&node) = self.edges.get(&(parent, edge)) {
            self.touch(node);
            let cached = self.nodes[&node].block.lease();
            return Some((node, (cached.id() != block.id()).then_some(cached)));
        }
        if !self.nodes.contains_key(&parent) && !self.root_keys.contains_key(&parent) {
            return None;
        }
        let block = block.cache()?;
        self.next += 1;
        let node = self.next;
        self.gain_child(parent);
        self.edges.insert((parent, edge), node);
        self.nodes.insert(
            node,
            Node {
                parent,
                edge,
                block,
                children: 0,
                used: self.tick,
            },
        );
        self.leaves.insert((self.tick, node));
        Some((node, None))
    }

    /// Evicts the least recently used leaf that no sequence references.
    pub(super) fn evict_one(&mut self) -> bool {
        let idle = self
            .leaves
            .iter()
            .find(|(_, node)| self.nodes[node].block.is_idle())
            .copied();
        let Some(leaf) = idle else { return false };
        self.leaves.remove(&leaf);
        if let Some(node) = self.nodes.remove(&leaf.1) {
            self.edges.remove(&(node.parent, node.edge));
            self.lose_child(node.parent);
        }
        true
    }

    fn touch(&mut self, id: NodeId) {
        if let Some(node) = self.nodes.get_mut(&id) {
            if node.children == 0 {
                self.leaves.remove(&(node.used, id));
                self.leaves.insert((self.tick, id));
            }
            node.used = self.tick;
        }
    }

    fn gain_child(&mut self, parent: NodeId) {
        if let Some(root) = self.root_keys.get_mut(&parent) {
            root.children += 1;
        } else if let Some(node) = self.nodes.get_mut(&parent) {
            node.children += 1;
            self.leaves.remove(&(node.used, parent));
        }
    }

    fn lose_child(&mut self, parent: NodeId) {
        if let Some(node) = self.nodes.get_mut(&parent) {
            node.children -= 1;
            if node.children == 0 {
                self.leaves.insert((node.used, parent));
            }
        } else if let Some(root) = self.root_keys.get_mut(&parent) {
            root.children -= 1;
            if root.children == 0 {
                self.roots.remove(&root.key);
                self.root_keys.remove(&parent);
            }
        }
    }

    /// Every block held, as what it can be found.
    #[cfg(test)]
    pub(super) fn findable(&self) -> Vec<super::Findable> {
        let of = |node: &Node| {
            let (mut edges, mut parent) = (vec![node.edge], node.parent);
            while let Some(node) = self.nodes.get(&parent) {
                edges.push(node.edge);
                parent = node.parent;
            }
            let (version, salt) = self.root_keys[&parent].key.clone();
            super::Findable {
                block: node.block.id,
                version,
                salt,
                tokens: edges.into_iter().rev().flatten().collect(),
            }
        };
        self.nodes.values().map(of).collect()
    }

    /// Checks that every node is reachable and the leaves are exactly the childless nodes.
    pub(super) fn check(&self) -> Result<(), String> {
        if self.edges.len() != self.nodes.len() || self.roots.len() != self.root_keys.len() {
            return Err("the prefix index lost an edge or a root".into());
        }
        let mut children: HashMap<NodeId, usize> = HashMap::with_capacity(self.nodes.len());
        for node in self.nodes.values() {
            *children.entry(node.parent).or_default() += 1;
        }
        for (id, node) in &self.nodes {
            let children = children.get(id).copied().unwrap_or(0);
            let listed = self.leaves.contains(&(node.used, *id));
            let parent = self.nodes.contains_key(&node.parent) || self.root_keys.contains_key(&node.parent);
            if children != node.children || listed != (children == 0) || !parent {
                return Err(format!("node {id} of the prefix index is inconsistent"));
            }
        }
        Ok(())
    }

    /// Checks that the path from the root to `node`, unless that is gone, holds exactly the blocks of `tokens`.
    pub(super) fn check_path(&self, node: NodeId, tokens: &[u32]) -> Result<(), String> {
        let mut at = node;
        for edge in tokens.chunks_exact(BLOCK_TOKENS).rev() {
            let Some(held) = self.nodes.get(&at) else {
                return match at == node {
                    true => Ok(()),
                    false => Err(format!("node {node} of the prefix index stands too high")),
                };
            };
            if held.edge != edge_of(edge) {
                return Err(format!(
                    "node {node} of the prefix index has other tokens than its sequence"
                ));
            }
            at = held.parent;
        }
        match self.nodes.contains_key(&at) {
            true => Err(format!("node {node} of the prefix index stands too deep")),
            false => Ok(()),
        }
    }
}

fn root_key(version: u64, salt: Option<&Arc<str>>) -> RootKey {
    let version = if planted(Defect::VersionlessIndex) { 0 } else { version };
    (version, salt.filter(|_| !planted(Defect::SaltlessIndex)).cloned())
}

fn edge_of(tokens: &[u32]) -> Edge {
    tokens.try_into().expect("callers cut whole blocks")
}
