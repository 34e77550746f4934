//! What became of the problems of a step, and why nothing could be learned from them.

use std::collections::BTreeMap;

use crate::svs::Funnel;
use crate::svs::band::Score;

/// Problems of a step by how their samples were graded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Fates {
    all_correct: usize,
    none_correct: usize,
    mixed: usize,
    ungraded: usize,
}

impl Fates {
    /// Counts the problems of `scores`.
    pub(super) fn of(scores: &[(String, Score)]) -> Self {
        let mut fates = Self::default();
        for (_, score) in scores {
            let fate = match (score.correct, score.graded) {
                (_, 0) => &mut fates.ungraded,
                (0, _) => &mut fates.none_correct,
                (correct, graded) if correct == graded => &mut fates.all_correct,
                _ => &mut fates.mixed,
            };
            *fate += 1;
        }
        fates
    }

    /// Metrics by name; all are present, also at zero.
    pub(super) fn put(self, metrics: &mut BTreeMap<String, f64>) {
        for (name, count) in [
            ("all_correct", self.all_correct),
            ("none_correct", self.none_correct),
            ("mixed", self.mixed),
            ("ungraded", self.ungraded),
        ] {
            metrics.insert(format!("problems/{name}"), count as f64);
        }
    }

    /// Why a step has no group with a contrast, in words; with `svs` also where its stages ended.
    pub(super) fn why_nothing(self, funnel: &Funnel, svs: bool) -> String {
        let mut said = format!(
            "of {} problems {} had only correct responses, {} none, {} both; of {} no response could be graded",
            self.all_correct + self.none_correct + self.mixed + self.ungraded,
            self.all_correct,
            self.none_correct,
            self.mixed,
            self.ungraded,
        );
        if svs {
            said += match funnel {
                Funnel { seed_prompts: 0, .. } => "; no problem was under-performing, so none was varied",
                Funnel { contexts: 0, .. } => "; no under-performing problem had a correct solution to write from",
                Funnel { extracted: 0, .. } => "; no problem could be read from what was written",
                Funnel { problems: 0, .. } => "; every problem that was written was rejected (svs/rejected)",
                _ => "; the problems that were written gave no contrast either",
            };
        }
        said
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn problems_are_counted_by_fate_and_the_reason_names_the_stage() {
        let scores = [(3, 3), (0, 3), (0, 2), (1, 2), (0, 0)];
        let scores = scores.map(|(correct, graded)| ("p".to_owned(), Score { correct, graded }));
        let fates = Fates::of(&scores);
        let mut metrics = BTreeMap::new();
        fates.put(&mut metrics);
        let counts = ["all_correct", "none_correct", "mixed", "ungraded"];
        let counts = counts.map(|name| metrics[&format!("problems/{name}")]);
        assert_eq!(counts, [1.0, 2.0, 1.0, 1.0]);
        for (seed_prompts, contexts, extracted, problems, named) in [
            (0, 0, 0, 0, "under-performing, so none"),
            (2, 0, 0, 0, "correct solution to write from"),
            (2, 2, 0, 0, "could be read"),
            (2, 2, 3, 0, "was rejected"),
            (2, 2, 3, 1, "no contrast either"),
        ] {
            let funnel = Funnel {
                seed_prompts,
                contexts,
                extracted,
                problems,
                ..Funnel::default()
            };
            let said = fates.why_nothing(&funnel, true);
            assert!(
                said.starts_with("of 5 problems 1 had only") && said.contains(named),
                "{said}"
            );
            assert!(!fates.why_nothing(&funnel, false).contains(named));
        }
    }
}
