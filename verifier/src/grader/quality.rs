//! `quality`: is the answer to a hard task feasible, and how good is it beside a reference?

use super::{Case, Decided, Fault, Grader, Scored, Stopped, within};
use crate::budget::Budget;
use crate::quality::{Instance, last_list};
use crate::spec::template::Template;
use crate::spec::{QualitySpec, SpecError};

/// What an objective costs at most: a graph of 256 nodes as rows, 64 places for a step.
const STEPS: u64 = 1024;

#[derive(Debug)]
pub(crate) struct Quality {
    input: Template,
    instance: Template,
    reference: Template,
}

impl Quality {
    pub(crate) fn new(spec: &QualitySpec) -> Result<Self, SpecError> {
        Ok(Self {
            input: Template::parse(&spec.input)?,
            instance: Template::parse_reference(&spec.instance)?,
            reference: Template::parse_reference(&spec.reference)?,
        })
    }

    /// Instance and reference, before the response is looked at.
    fn task(&self, case: &Case<'_>, budget: &mut Budget) -> Result<(Instance, u64), Stopped> {
        let bad = |rule: &str| Fault::Gold { rule: rule.to_owned() };
        let text = self.instance.resolve(case, budget)?;
        let instance: Instance = serde_json::from_str(&text).map_err(|_| bad("no_instance"))?;
        instance.check().map_err(bad)?;
        let reference = self.reference.resolve(case, budget)?.trim().parse::<u64>();
        let reference = reference.ok().filter(|&reference| reference > 0);
        budget.charge(STEPS).map_err(|_| Fault::TooLong)?;
        Ok((
            instance,
            reference.ok_or_else(|| bad("the reference is no whole number above 0"))?,
        ))
    }

    fn decide(&self, case: &Case<'_>, budget: &mut Budget) -> Decided {
        let (instance, reference) = self.task(case, budget)?;
        let input = self.input.resolve(case, budget)?;
        let answer = last_list(&input).ok_or(Stopped::Zero("no_answer"))?;
        let objective = instance.objective(&answer).map_err(|_| Stopped::Zero("infeasible"))?;
        let rule = match instance.beats(objective, reference) {
            true => "better_than_reference",
            false => "quality",
        };
        Ok((instance.quality(objective, reference), rule))
    }
}

impl Grader for Quality {
    fn grade(&self, case: &Case<'_>) -> Scored {
        within(case, |budget| self.decide(case, budget))
    }
}
