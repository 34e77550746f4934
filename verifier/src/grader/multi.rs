//! `multi`: a formula over the rewards of named graders.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Case, Fault, Grader, Scored};
use crate::formula::Formula;
use crate::formula::range::Range;
use crate::inquiry::Messenger;
use crate::sandbox::Sandbox;
use crate::spec::{GraderSpec, MultiSpec, SpecError};

/// Most graders of a formula.
const MAX_GRADERS: usize = 32;

#[derive(Debug)]
pub(crate) struct Multi {
    graders: Vec<(String, Box<dyn Grader>)>,
    formula: Formula,
}

impl Multi {
    pub(crate) fn new(spec: &MultiSpec, messenger: &dyn Messenger, sandbox: &Arc<Sandbox>) -> Result<Self, SpecError> {
        if spec.graders.is_empty() || spec.graders.len() > MAX_GRADERS {
            return Err(SpecError::Graders("1 to 32 of them".to_owned()));
        }
        let mut graders = Vec::with_capacity(spec.graders.len());
        for (name, grader) in &spec.graders {
            if matches!(grader, GraderSpec::Multi(_)) {
                return Err(SpecError::Graders(format!("`{name}` is a `multi` in a `multi`")));
            }
            graders.push((name.clone(), grader.make(messenger, sandbox)?));
        }
        let names: Vec<&str> = graders.iter().map(|(name, _)| name.as_str()).collect();
        let formula = Formula::parse(&spec.calculate_output, &names)?;
        Ok(Self { graders, formula })
    }
}

impl Grader for Multi {
    fn grade(&self, case: &Case<'_>) -> Scored {
        // Equal shares: no grader runs out because of what another one took, so no response can turn its reward into a
        // fault of the next.
        let share = Case {
            max_steps: case.max_steps / self.graders.len() as u64,
            ..*case
        };
        let (mut parts, mut steps, mut fault) = (BTreeMap::new(), 0, None);
        for (name, grader) in &self.graders {
            let scored = grader.grade(&share);
            steps += scored.steps;
            match scored.reward {
                Ok(reward) => {
                    parts.insert(name.clone(), reward);
                }
                Err(cause) => {
                    fault.get_or_insert(Fault::Part {
                        name: name.clone(),
                        fault: Box::new(cause),
                    });
                }
            }
        }
        // Sorted by name, as the graders are.
        let values: Vec<Range> = parts.values().map(|reward| Range::point(*reward)).collect();
        let reward = match fault {
            Some(fault) => Err(fault),
            None => self
                .formula
                .value(&values)
                .map(|v| v.clamp(0.0, 1.0))
                .ok_or(Fault::Formula),
        };
        Scored {
            verdict: super::verdict(&reward, "formula"),
            rule: if reward.is_ok() { "formula" } else { "fault" }.to_owned(),
            reward,
            steps,
            parts,
        }
    }
}
