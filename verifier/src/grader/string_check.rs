//! `string_check`: equality and containment of texts.

use super::{Case, Fault, Grader, Scored, Sides, within, worth};
use crate::spec::StringOperation;

#[derive(Debug)]
pub(crate) struct StringCheck {
    pub(crate) sides: Sides,
    pub(crate) operation: StringOperation,
}

impl Grader for StringCheck {
    fn grade(&self, case: &Case<'_>) -> Scored {
        within(case, |budget| {
            let (input, reference) = self.sides.resolve(case, budget)?;
            // Every text contains the empty one, and an empty label is a broken row.
            if reference.is_empty() && self.operation != StringOperation::Ne {
                return Err(Fault::Empty.into());
            }
            Ok(match self.operation {
                StringOperation::Eq => (worth(input == reference), "eq"),
                StringOperation::Ne => (worth(input != reference), "ne"),
                StringOperation::Like => (worth(input.contains(&reference)), "like"),
                StringOperation::Ilike => (worth(input.to_lowercase().contains(&reference.to_lowercase())), "ilike"),
            })
        })
    }
}
