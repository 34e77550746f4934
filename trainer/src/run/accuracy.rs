//! How a problem fares over the visits of a run: last and best accuracy, and whether it gets better.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use super::memory::Visit;

impl Visit {
    /// Share of the graded samples that were correct; `None` where the graders failed on all of them: a fault is no 0.
    #[must_use]
    pub fn accuracy(&self) -> Option<f64> {
        (self.graded > 0).then(|| f64::from(self.correct) / f64::from(self.graded))
    }
}

/// Accuracies of one problem, and what they come to.
#[derive(Debug, Clone, PartialEq)]
pub struct ProblemAccuracy {
    /// The problem.
    pub problem_id: String,
    /// Accuracy at each visit at which a sample was graded, oldest first; 0 to 1.
    pub accuracies: Vec<f64>,
    /// The best of them.
    pub max: f64,
    /// Slope of the least-squares line through them at 0, 1, 2, …: change of accuracy per visit. `None` for a single visit.
    pub slope: Option<f64>,
}

impl ProblemAccuracy {
    /// Of the visits of a problem; `None` if none of its samples was ever graded.
    #[must_use]
    pub fn of(problem_id: &str, visits: &[Visit]) -> Option<Self> {
        let accuracies: Vec<f64> = visits.iter().filter_map(Visit::accuracy).collect();
        (!accuracies.is_empty()).then(|| Self {
            problem_id: problem_id.to_owned(),
            max: accuracies.iter().copied().fold(0.0, f64::max),
            slope: slope(&accuracies),
            accuracies,
        })
    }

    /// Visits that count.
    #[must_use]
    pub fn count(&self) -> usize {
        self.accuracies.len()
    }

    /// Accuracy at the last visit.
    #[must_use]
    pub fn last(&self) -> f64 {
        self.accuracies.last().copied().unwrap_or_default()
    }
}

/// Slope of the least-squares line through the points `(0, ys[0])`, `(1, ys[1])`, …; `None` for fewer than two.
fn slope(ys: &[f64]) -> Option<f64> {
    if ys.len() < 2 {
        return None;
    }
    let middle = (ys.len() - 1) as f64 / 2.0;
    let mean = ys.iter().sum::<f64>() / ys.len() as f64;
    let (mut across, mut square) = (0.0, 0.0);
    for (at, y) in ys.iter().enumerate() {
        let x = at as f64 - middle;
        across += x * (y - mean);
        square += x * x;
    }
    Some(across / square)
}

/// What a list of problems is sorted by. Equal ones are in the order of their ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ProblemSort {
    /// The id.
    #[default]
    Id,
    /// Visits.
    Count,
    /// Accuracy at the last visit.
    Last,
    /// Best accuracy.
    Max,
    /// Slope; problems without one come last in either direction.
    Slope,
}

impl ProblemSort {
    /// Every value, by its name.
    pub const ALL: [(&'static str, Self); 5] = [
        ("id", Self::Id),
        ("count", Self::Count),
        ("last", Self::Last),
        ("max", Self::Max),
        ("slope", Self::Slope),
    ];

    fn compare(self, one: &ProblemAccuracy, other: &ProblemAccuracy, descending: bool) -> Ordering {
        let turned = |order: Ordering| if descending { order.reverse() } else { order };
        let by_figure = match self {
            Self::Id => return turned(one.problem_id.cmp(&other.problem_id)),
            Self::Count => turned(one.count().cmp(&other.count())),
            Self::Last => turned(one.last().total_cmp(&other.last())),
            Self::Max => turned(one.max.total_cmp(&other.max)),
            Self::Slope => match (one.slope, other.slope) {
                (Some(one), Some(other)) => turned(one.total_cmp(&other)),
                (one, other) => other.is_some().cmp(&one.is_some()),
            },
        };
        by_figure.then_with(|| one.problem_id.cmp(&other.problem_id))
    }
}

/// The problems of `visits` of which a sample was graded, sorted.
#[must_use]
pub fn sorted(visits: &BTreeMap<String, Vec<Visit>>, by: ProblemSort, descending: bool) -> Vec<ProblemAccuracy> {
    let each = visits.iter().filter_map(|(id, visits)| ProblemAccuracy::of(id, visits));
    let mut problems: Vec<ProblemAccuracy> = each.collect();
    problems.sort_by(|one, other| by.compare(one, other, descending));
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    fn visits(of: &[(u32, u32)]) -> Vec<Visit> {
        let each = of.iter().zip(1..);
        each.map(|(&(correct, graded), step)| Visit { step, correct, graded })
            .collect()
    }

    #[test]
    fn figures_are_those_computed_by_hand() {
        for (of, count, last, max, slope) in [
            // One visit has no slope.
            (&[(1, 4)][..], 1, 0.25, 0.25, None),
            // Two: the difference.
            (&[(1, 4), (3, 4)], 2, 0.75, 0.75, Some(0.5)),
            // x − 1 = −1 0 1: (−0.5 + 0.25) / 2.
            (&[(2, 4), (0, 4), (1, 4)], 3, 0.25, 0.5, Some(-0.125)),
            // x − 1.5, squares sum to 5: (−1.5·0 − 0.5·1 + 0.5·0 + 1.5·1) / 5.
            (&[(0, 8), (8, 8), (0, 8), (8, 8)], 4, 1.0, 1.0, Some(0.2)),
            // All wrong: flat, as in the published record.
            (&[(0, 16), (0, 16), (0, 16)], 3, 0.0, 0.0, Some(0.0)),
            // A visit that no grader judged is none: 0.5 and 1 are left.
            (&[(2, 4), (0, 0), (4, 4)], 2, 1.0, 1.0, Some(0.5)),
        ] {
            let found = ProblemAccuracy::of("p", &visits(of)).expect("graded");
            assert_eq!((found.count(), found.last(), found.max), (count, last, max), "{of:?}");
            match (found.slope, slope) {
                (Some(found), Some(slope)) => assert!((found - slope).abs() < 1e-12, "{of:?}: {found}"),
                (found, slope) => assert_eq!(found, slope, "{of:?}"),
            }
        }
        assert_eq!(ProblemAccuracy::of("p", &visits(&[(0, 0), (0, 0)])), None);
        assert_eq!(ProblemAccuracy::of("p", &[]), None);
    }

    #[test]
    fn a_list_is_sorted_both_ways_and_ties_by_id() {
        let table = [
            ("falls", &[(4, 4), (0, 4)][..]),
            ("flat", &[(0, 4), (0, 4), (0, 4)]),
            ("once", &[(3, 4)]),
            ("rises", &[(0, 4), (2, 4)]),
            ("ungraded", &[(0, 0)]),
        ];
        let table: BTreeMap<String, Vec<Visit>> = table.map(|(id, of)| (id.to_owned(), visits(of))).into();
        for (by, descending, expected) in [
            (ProblemSort::Id, false, ["falls", "flat", "once", "rises"]),
            (ProblemSort::Id, true, ["rises", "once", "flat", "falls"]),
            (ProblemSort::Count, true, ["flat", "falls", "rises", "once"]),
            (ProblemSort::Last, false, ["falls", "flat", "rises", "once"]),
            (ProblemSort::Max, true, ["falls", "once", "rises", "flat"]),
            (ProblemSort::Slope, false, ["falls", "flat", "rises", "once"]),
            (ProblemSort::Slope, true, ["rises", "flat", "falls", "once"]),
        ] {
            let found = sorted(&table, by, descending);
            let ids: Vec<&str> = found.iter().map(|problem| problem.problem_id.as_str()).collect();
            assert_eq!(ids, expected, "{by:?} {descending}");
        }
    }
}
