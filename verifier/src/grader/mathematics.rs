//! `math`: the mathematics grader behind the common trait.

use super::{Case, Fault, Grader, Scored, Sides};
use crate::budget::Budget;
use crate::{MathOptions, grade_math};

/// One part in so many of the steps is for resolving the templates.
const SHARE: u64 = 4;

#[derive(Debug)]
pub(crate) struct Mathematics {
    pub(crate) sides: Sides,
    pub(crate) options: MathOptions,
}

impl Grader for Mathematics {
    fn grade(&self, case: &Case<'_>) -> Scored {
        // A share of its own: a long response must not make the gold look too costly, which would be a fault.
        let share = case.max_steps / SHARE;
        let mut budget = Budget::new(share);
        let (input, gold) = match self.sides.resolve(case, &mut budget) {
            Ok(sides) => sides,
            Err(stopped) => return super::stopped(stopped, &budget),
        };
        let options = MathOptions {
            max_steps: self.options.max_steps.min(case.max_steps - share),
            ..self.options.clone()
        };
        let grade = grade_math(&input, &gold, &options);
        let fault = || Fault::Gold {
            rule: grade.rule.clone(),
        };
        Scored {
            verdict: grade.verdict,
            reward: grade.verdict.reward().ok_or_else(fault),
            steps: budget.used() + grade.steps,
            rule: grade.rule,
            parts: Default::default(),
        }
    }
}
