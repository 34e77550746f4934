//! From specifications to graders: everything that can be refused is refused here.

use super::template::Template;
use super::{GraderSpec, SpecError};
use crate::grader::choice::Choice;
use crate::grader::format::Format;
use crate::grader::json_schema::JsonSchema;
use crate::grader::mathematics::Mathematics;
use crate::grader::multi::Multi;
use crate::grader::regex::Regex;
use crate::grader::string_check::StringCheck;
use crate::grader::text_similarity::TextSimilarity;
use crate::grader::{Grader, Sides};

/// Most characters of a name.
const MAX_NAME: usize = 64;

impl GraderSpec {
    /// Name of the grader.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::StringCheck(spec) => &spec.name,
            Self::TextSimilarity(spec) => &spec.name,
            Self::Math(spec) => &spec.name,
            Self::Choice(spec) => &spec.name,
            Self::Regex(spec) => &spec.name,
            Self::JsonSchema(spec) => &spec.name,
            Self::Format(spec) => &spec.name,
            Self::Multi(spec) => &spec.name,
        }
    }

    /// Whether every reward is 0 or 1. Of a formula this is not looked into.
    #[must_use]
    pub fn is_binary(&self) -> bool {
        !matches!(self, Self::TextSimilarity(_) | Self::Multi(_))
    }

    /// Makes the grader.
    ///
    /// # Errors
    /// Something in the specification cannot be graded exactly and within bounds.
    pub fn build(&self) -> Result<Box<dyn Grader>, SpecError> {
        if self.name().is_empty() || self.name().chars().count() > MAX_NAME {
            return Err(SpecError::Name);
        }
        Ok(match self {
            Self::StringCheck(spec) => Box::new(StringCheck {
                sides: Sides::parse(&spec.input, &spec.reference)?,
                operation: spec.operation,
            }),
            Self::TextSimilarity(spec) => Box::new(TextSimilarity::new(spec)?),
            Self::Math(spec) => Box::new(Mathematics {
                sides: Sides::parse(&spec.input, &spec.reference)?,
                options: spec.options.clone(),
            }),
            Self::Choice(spec) => Box::new(Choice::new(spec)?),
            Self::Regex(spec) => Box::new(Regex::new(spec)?),
            Self::JsonSchema(spec) => Box::new(JsonSchema {
                input: Template::parse(&spec.input)?,
                schema: crate::schema::Schema::compile(&spec.schema)?,
            }),
            Self::Format(spec) => Box::new(Format::new(spec)?),
            Self::Multi(spec) => Box::new(Multi::new(spec)?),
        })
    }
}
