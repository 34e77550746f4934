//! `regex`: a pattern that the text must match.

use super::pattern::Pattern;
use super::{Case, Grader, Scored, within, worth};
use crate::spec::template::Template;
use crate::spec::{RegexSpec, SpecError};

#[derive(Debug)]
pub(crate) struct Regex {
    input: Template,
    pattern: Pattern,
}

impl Regex {
    pub(crate) fn new(spec: &RegexSpec) -> Result<Self, SpecError> {
        // Compiled alone first: `a)|(?:b` must not become two groups by being wrapped in one.
        let pattern = Pattern::compile(&spec.pattern)?;
        Ok(Self {
            input: Template::parse(&spec.input)?,
            pattern: if spec.full {
                Pattern::compile(&format!(r"\A(?:{})\z", spec.pattern))?
            } else {
                pattern
            },
        })
    }
}

impl Grader for Regex {
    fn grade(&self, case: &Case<'_>) -> Scored {
        within(case, |budget| {
            let input = self.input.resolve(case, budget)?;
            Ok((worth(self.pattern.matches(&input, budget)?), "regex"))
        })
    }
}
