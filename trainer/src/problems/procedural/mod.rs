//! Arithmetic word problems made from tables: shapes of computation × wordings × numbers × names and things.
//!
//! Seeded and deterministic. Wordings and tuples of numbers are split into training and held-out, each disjoint, so
//! held-out problems measure reading and arithmetic rather than memory. Knows no model and no tokenizer.

mod numbers;
mod render;
pub mod rng;
pub mod shape;
pub mod skeleton;
pub mod template;
mod templates;
mod words;

use std::collections::HashSet;

pub use numbers::split_of;
pub use rng::Rng;
pub use shape::Computation;
pub use skeleton::{Match, nearest_template};
pub use template::{Template, TemplateId, templates};

use super::Problem;

/// Which wordings and numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Split {
    /// Wordings and numbers to train on.
    Train,
    /// Wordings and numbers never trained on.
    HeldOut,
}

impl Split {
    fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::HeldOut => "held-out",
        }
    }
}

/// How hard the problems are.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Difficulty {
    /// Weights of problems of one, two and three operations.
    pub steps: [f64; 3],
    /// No intermediate result is larger.
    pub largest: i64,
    /// Share of problems with a remark that changes nothing.
    pub remarks: f64,
}

impl Default for Difficulty {
    /// Mostly two operations, results up to 60, a remark in one problem of ten.
    fn default() -> Self {
        Self {
            steps: [0.2, 0.6, 0.2],
            largest: 60,
            remarks: 0.1,
        }
    }
}

/// A generated problem and how it came about.
#[derive(Debug, Clone)]
pub struct Generated {
    /// Question and answer.
    pub problem: Problem,
    /// Its wording.
    pub template: TemplateId,
    /// Its numbers, steps and worked solution.
    pub computation: Computation,
}

impl Generated {
    /// The worked solution: a step per line, then the boxed answer.
    #[must_use]
    pub fn solution(&self) -> String {
        self.computation.worked_solution()
    }
}

/// An endless stream of problems of one split.
#[derive(Debug, Clone)]
pub struct Generator {
    rng: Rng,
    seed: u64,
    split: Split,
    difficulty: Difficulty,
    count: u64,
}

impl Generator {
    /// The stream of `seed` at the default difficulty.
    #[must_use]
    pub fn new(seed: u64, split: Split) -> Self {
        Self::with_difficulty(seed, split, Difficulty::default())
    }

    /// The stream of `seed` at a given difficulty.
    #[must_use]
    pub fn with_difficulty(seed: u64, split: Split, difficulty: Difficulty) -> Self {
        Self {
            rng: Rng::new(seed, split as u64),
            seed,
            split,
            difficulty,
            count: 0,
        }
    }

    /// A wording of `shape` drawn from this stream's split, filled with `computation`'s numbers.
    pub fn reword(&mut self, computation: &Computation) -> (String, TemplateId) {
        let fitting = |template: &&Template| template.id.split == self.split && template.shape == computation.shape;
        let list: Vec<&Template> = templates().iter().filter(fitting).collect();
        let template = *self.rng.pick(&list);
        let question = render::question(
            &mut self.rng,
            template.text,
            &computation.operands,
            self.difficulty.remarks,
        );
        (question, template.id)
    }

    fn shape(&mut self) -> &'static shape::Shape {
        let total: f64 = self.difficulty.steps.iter().sum();
        let steps = match self.rng.below(1 << 20) as f64 / f64::from(1 << 20) * total {
            draw if draw < self.difficulty.steps[0] => 1,
            draw if draw < self.difficulty.steps[0] + self.difficulty.steps[1] => 2,
            _ => 3,
        };
        let fitting: Vec<_> = shape::SHAPES
            .iter()
            .filter(|shape| shape.steps.len() == steps)
            .collect();
        self.rng.pick::<&shape::Shape>(&fitting)
    }
}

impl Iterator for Generator {
    type Item = Generated;

    /// The next problem; `None` only if the difficulty leaves no numbers for a shape.
    fn next(&mut self) -> Option<Generated> {
        let shape = self.shape();
        let computation = numbers::draw(&mut self.rng, shape, self.split, self.difficulty.largest)?;
        let (question, template) = self.reword(&computation);
        let problem = Problem {
            id: format!("procedural-{}-{}-{}", self.split.name(), self.seed, self.count),
            question,
            answer: computation.answer().to_string(),
            source: "procedural".into(),
            ..Problem::default()
        };
        self.count += 1;
        Some(Generated {
            problem,
            template,
            computation,
        })
    }
}

/// The first `count` problems of a stream, no question twice.
#[must_use]
pub fn problems(split: Split, seed: u64, count: usize) -> Vec<Problem> {
    let mut seen = HashSet::new();
    let fresh = |problem: &Problem| seen.insert(problem.question.clone());
    Generator::new(seed, split)
        .map(|generated| generated.problem)
        .filter(fresh)
        .take(count)
        .collect()
}

#[cfg(test)]
mod tests;
