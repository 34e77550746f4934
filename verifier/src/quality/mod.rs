//! Tasks whose best answers are hard to find and easy to compare: is an answer feasible, and how good is it beside the
//! answer of a heuristic? Instances are made from seeds, answers are lists of whole numbers, objectives are integers.

mod bin_packing;
mod colouring;
mod graph;
mod hamiltonian;
mod independent_set;
mod knapsack;
mod max_cut;
mod random;
mod scheduling;
mod set_cover;
#[cfg(test)]
mod tests;
mod tour;
mod vertex_cover;

use serde::{Deserialize, Serialize};

pub use bin_packing::BinPacking;
pub use colouring::Colouring;
pub use graph::Graph;
pub use hamiltonian::HamiltonianPath;
pub use independent_set::IndependentSet;
pub use knapsack::Knapsack;
pub use max_cut::MaxCut;
pub use scheduling::Scheduling;
pub use set_cover::SetCover;
pub use tour::Tour;
pub use vertex_cover::VertexCover;

use random::Random;

/// Most nodes, items, sets or jobs of an instance.
pub const MAX_SIZE: usize = 256;
/// Fewest of them that are generated.
pub const MIN_SIZE: usize = 4;
/// Largest weight, value, size or distance.
const MAX_WEIGHT: u32 = 1_000_000;

/// Whether less or more is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Goal {
    /// Less is better.
    Least,
    /// More is better.
    Most,
}

/// One kind of task.
trait Task: Sized {
    const GOAL: Goal;

    /// Makes an instance of `size` nodes, items, sets or jobs that has a feasible answer.
    fn generate(size: usize, random: &mut Random) -> Self;

    /// What is wrong with an instance that was read.
    fn check(&self) -> Result<(), &'static str>;

    /// The objective of an answer, at least 1, or why it is not feasible.
    fn objective(&self, answer: &[u32]) -> Result<u64, &'static str>;

    /// A feasible answer by a heuristic; `None` if it finds none.
    fn reference(&self) -> Option<Vec<u32>>;

    /// The task in words.
    fn question(&self) -> String;
}

/// An instance, told apart by its `task`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "task", rename_all = "snake_case")]
pub enum Instance {
    /// The shortest round trip.
    TravellingSalesman(Tour),
    /// The most valuable items that a weight allows.
    Knapsack(Knapsack),
    /// The fewest colours with no two neighbours alike.
    GraphColouring(Colouring),
    /// The most nodes with no two neighbours.
    IndependentSet(IndependentSet),
    /// The fewest sets that hold every element.
    SetCover(SetCover),
    /// The fewest bins that hold every item.
    BinPacking(BinPacking),
    /// A path through every node.
    HamiltonianPath(HamiltonianPath),
    /// The heaviest edges between two sides.
    MaxCut(MaxCut),
    /// The fewest nodes that touch every edge.
    VertexCover(VertexCover),
    /// The earliest end of all jobs on equal machines.
    Scheduling(Scheduling),
}

/// Names of the tasks, as instances have them.
pub const TASKS: [&str; 10] = [
    "travelling_salesman",
    "knapsack",
    "graph_colouring",
    "independent_set",
    "set_cover",
    "bin_packing",
    "hamiltonian_path",
    "max_cut",
    "vertex_cover",
    "scheduling",
];

/// Evaluates an expression with the instance of whichever kind as `$task`.
macro_rules! each {
    ($instance:expr, $task:ident => $body:expr) => {
        match $instance {
            Instance::TravellingSalesman($task) => $body,
            Instance::Knapsack($task) => $body,
            Instance::GraphColouring($task) => $body,
            Instance::IndependentSet($task) => $body,
            Instance::SetCover($task) => $body,
            Instance::BinPacking($task) => $body,
            Instance::HamiltonianPath($task) => $body,
            Instance::MaxCut($task) => $body,
            Instance::VertexCover($task) => $body,
            Instance::Scheduling($task) => $body,
        }
    };
}

fn goal_of<T: Task>(_: &T) -> Goal {
    T::GOAL
}

impl Instance {
    /// An instance of a task by its name, the same for the same size and seed. Sizes are held to [`MIN_SIZE`] and
    /// [`MAX_SIZE`]; `None` if there is no such task.
    #[must_use]
    pub fn generate(task: &str, size: usize, seed: u64) -> Option<Self> {
        let (size, random) = (size.clamp(MIN_SIZE, MAX_SIZE), &mut Random::new(seed));
        Some(match task {
            "travelling_salesman" => Self::TravellingSalesman(Task::generate(size, random)),
            "knapsack" => Self::Knapsack(Task::generate(size, random)),
            "graph_colouring" => Self::GraphColouring(Task::generate(size, random)),
            "independent_set" => Self::IndependentSet(Task::generate(size, random)),
            "set_cover" => Self::SetCover(Task::generate(size, random)),
            "bin_packing" => Self::BinPacking(Task::generate(size, random)),
            "hamiltonian_path" => Self::HamiltonianPath(Task::generate(size, random)),
            "max_cut" => Self::MaxCut(Task::generate(size, random)),
            "vertex_cover" => Self::VertexCover(Task::generate(size, random)),
            "scheduling" => Self::Scheduling(Task::generate(size, random)),
            _ => return None,
        })
    }

    /// Checks an instance that was read.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check(&self) -> Result<(), &'static str> {
        each!(self, task => task.check())
    }

    /// The objective of an answer, at least 1.
    ///
    /// # Errors
    /// Why the answer is not feasible.
    pub fn objective(&self, answer: &[u32]) -> Result<u64, &'static str> {
        each!(self, task => task.objective(answer))
    }

    /// A feasible answer by a heuristic; `None` if it finds none.
    #[must_use]
    pub fn reference(&self) -> Option<Vec<u32>> {
        each!(self, task => task.reference())
    }

    /// The task in words, with the form of the answer.
    #[must_use]
    pub fn question(&self) -> String {
        let question = each!(self, task => task.question());
        format!(
            "{question} The answer is a JSON list of whole numbers, such as [2, 0, 1]; it must be the last list that you write."
        )
    }

    /// Whether less or more is better.
    #[must_use]
    pub fn goal(&self) -> Goal {
        each!(self, task => goal_of(task))
    }

    /// Whether an objective is better than a reference, which is a heuristic's and may be beaten.
    #[must_use]
    pub fn beats(&self, objective: u64, reference: u64) -> bool {
        match self.goal() {
            Goal::Least => objective < reference,
            Goal::Most => objective > reference,
        }
    }

    /// How good an objective is beside a reference, in (0, 1]: better than the reference is 1. Both are at least 1.
    #[must_use]
    pub fn quality(&self, objective: u64, reference: u64) -> f64 {
        let (better, worse) = match self.goal() {
            Goal::Least => (reference, objective),
            Goal::Most => (objective, reference),
        };
        (better as f64 / worse.max(1) as f64).min(1.0)
    }
}

/// A row of a data set: a generated instance with its question, the objective of the reference answer, and its grader. The same
/// for the same task, size and seed; `None` if there is no such task, or the heuristic finds no answer.
#[must_use]
pub fn problem(task: &str, size: usize, seed: u64) -> Option<serde_json::Value> {
    let instance = Instance::generate(task, size, seed)?;
    let reference = instance.objective(&instance.reference()?).ok()?;
    Some(serde_json::json!({
        "id": format!("{task}-{size}-{seed}"),
        "question": instance.question(),
        "reference": reference,
        "instance": instance,
        "grader": {"type": "quality", "name": task},
    }))
}

/// The last JSON list of whole numbers in a text, at most [`MAX_SIZE`] + 1 of them, if the last brackets are one that stands
/// alone: no index (`a[3]`), no part of another list, no link. The `\\[` and `\\]` around a formula in LaTeX are no brackets.
#[must_use]
pub fn last_list(text: &str) -> Option<Vec<u32>> {
    let bracket = |(at, found): (usize, &str)| (!text[..at].ends_with('\\')).then(|| (at, found == "["));
    let mut backwards = text.rmatch_indices(['[', ']']).filter_map(bracket);
    let ((end, false), (start, true)) = (backwards.next()?, backwards.next()?) else {
        return None;
    };
    // Brackets before it in its line that are still open hold it.
    let line = text[..start].rfind('\n').unwrap_or(0);
    let mut closed = 0usize;
    for (_, opens) in backwards.take_while(|(at, _)| *at >= line) {
        match (opens, closed) {
            (true, 0) => return None,
            (true, _) => closed -= 1,
            (false, _) => closed += 1,
        }
    }
    let (before, after) = (&text[..start], &text[end + 1..]);
    let joined = |c: char| c.is_alphanumeric() || matches!(c, '_' | '[' | ']');
    if before.ends_with(|c| joined(c) || c == ')') || after.starts_with(|c| joined(c) || c == '(') {
        return None;
    }
    let list: Vec<u32> = serde_json::from_str(&text[start..=end]).ok()?;
    (list.len() <= MAX_SIZE + 1).then_some(list)
}

/// Marks each of `ids` in a list of `count`; `None` if one is out of range or comes twice.
fn marked(ids: &[u32], count: usize) -> Option<Vec<bool>> {
    let mut marks = vec![false; count];
    for &id in ids {
        let mark = marks.get_mut(id as usize)?;
        if std::mem::replace(mark, true) {
            return None;
        }
    }
    Some(marks)
}

fn ids_where(count: usize, keep: impl Fn(usize) -> bool) -> Vec<u32> {
    (0..count).filter(|&at| keep(at)).map(|at| at as u32).collect()
}

const NOT_IDS: &str = "a number is out of range or comes twice";
const EMPTY: &str = "the list is empty";
const SIZE: &str = "an instance has 1 to 256 nodes, items, sets or jobs";
const WEIGHTS: &str = "weights are 1 to 1000000";

fn weights_fit(weights: impl IntoIterator<Item = u32>) -> Result<(), &'static str> {
    let fit = weights.into_iter().all(|weight| (1..=MAX_WEIGHT).contains(&weight));
    fit.then_some(()).ok_or(WEIGHTS)
}

fn size_fits(count: usize) -> Result<(), &'static str> {
    (1..=MAX_SIZE).contains(&count).then_some(()).ok_or(SIZE)
}
