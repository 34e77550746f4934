//! The problems that no run trains on, as many of each shape of computation: the tasks of the comparison.

use std::collections::HashSet;

use anyhow::ensure;
use svs_trainer::Problem;
use svs_trainer::problems::procedural::shape::SHAPES;
use svs_trainer::problems::procedural::{Generator, Split};

/// Stream of the problems; the runs' streams are those of their seeds, in the other split.
const SEED: u64 = 70_001;
/// Problems looked at for each that is wanted.
const PATIENCE: usize = 1000;

/// Problems, shape by shape.
#[derive(Debug, Clone)]
pub(super) struct HeldOut {
    pub(super) problems: Vec<Problem>,
}

impl HeldOut {
    /// `per_shape` distinct problems of each shape.
    pub(super) fn new(per_shape: usize) -> anyhow::Result<Self> {
        ensure!(
            (1..=1000).contains(&per_shape),
            "--problems-per-shape must be 1 to 1000"
        );
        let mut found: Vec<Vec<Problem>> = vec![Vec::new(); SHAPES.len()];
        let mut seen = HashSet::new();
        let looked_at = per_shape * SHAPES.len() * PATIENCE;
        for generated in Generator::new(SEED, Split::HeldOut).take(looked_at) {
            let shape = SHAPES.iter().position(|shape| shape == generated.computation.shape);
            let of_shape = &mut found[shape.expect("a computation has one of the shapes")];
            if of_shape.len() < per_shape && seen.insert(generated.problem.question.clone()) {
                of_shape.push(generated.problem);
            }
            if found.iter().all(|problems| problems.len() == per_shape) {
                break;
            }
        }
        for (shape, problems) in SHAPES.iter().zip(&found) {
            ensure!(
                problems.len() == per_shape,
                "--problems-per-shape: {} has only {} held-out problems",
                shape.name,
                problems.len()
            );
        }
        Ok(Self {
            problems: found.into_iter().flatten().collect(),
        })
    }
}

/// Tasks of the comparison.
pub(super) fn tasks() -> usize {
    SHAPES.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shape_has_its_problems_and_no_question_comes_twice() {
        let held_out = HeldOut::new(4).expect("problems");
        let questions: HashSet<&str> = held_out
            .problems
            .iter()
            .map(|problem| problem.question.as_str())
            .collect();
        assert_eq!((held_out.problems.len(), questions.len()), (4 * tasks(), 4 * tasks()));
        let longer = HeldOut::new(5).expect("problems");
        for task in 0..tasks() {
            assert_eq!(
                held_out.problems[4 * task..4 * task + 4],
                longer.problems[5 * task..5 * task + 4]
            );
        }
        assert!(HeldOut::new(0).is_err());
    }
}
