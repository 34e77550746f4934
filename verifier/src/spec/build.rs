//! From specifications to graders: everything that can be refused is refused here.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::code::Worth;
use super::template::Template;
use super::{GraderSpec, SpecError};
use crate::grader::choice::Choice;
use crate::grader::code::Code;
use crate::grader::format::Format;
use crate::grader::json_schema::JsonSchema;
use crate::grader::mathematics::Mathematics;
use crate::grader::multi::Multi;
use crate::grader::quality::Quality;
use crate::grader::regex::Regex;
use crate::grader::string_check::StringCheck;
use crate::grader::text_similarity::TextSimilarity;
use crate::grader::{Grader, Sides};
use crate::inquiry::{Inquiry, Messenger, Nobody, Unsent};
use crate::sandbox::{CodeMode, Sandbox, SandboxConfig};

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
            Self::Quality(spec) => &spec.name,
            Self::External(spec) => &spec.name,
            Self::ScoreModel(spec) => &spec.name,
            Self::Rubric(spec) => &spec.name,
            Self::Code(spec) => &spec.name,
            Self::Multi(spec) => &spec.name,
        }
    }

    /// Names of the endpoints that it asks, those of a formula's parts too.
    #[must_use]
    pub fn endpoints(&self) -> BTreeSet<&str> {
        match self {
            Self::External(spec) => [spec.endpoint.as_str()].into(),
            Self::ScoreModel(spec) => [spec.endpoint.as_str()].into(),
            Self::Rubric(spec) => [spec.endpoint.as_str()].into(),
            Self::Multi(spec) => spec.graders.values().flat_map(Self::endpoints).collect(),
            _ => BTreeSet::new(),
        }
    }

    /// Whether every reward is 0 or 1. Of a formula this is not looked into.
    #[must_use]
    pub fn is_binary(&self) -> bool {
        match self {
            Self::Code(spec) => spec.reward == Worth::All,
            Self::TextSimilarity(_)
            | Self::Quality(_)
            | Self::External(_)
            | Self::ScoreModel(_)
            | Self::Rubric(_)
            | Self::Multi(_) => false,
            _ => true,
        }
    }

    /// Whether grading runs programs.
    #[must_use]
    pub fn runs_code(&self) -> bool {
        match self {
            Self::Code(_) => true,
            Self::Multi(spec) => spec.graders.values().any(Self::runs_code),
            _ => false,
        }
    }

    /// Makes the grader, where it asks nobody and runs no programs.
    ///
    /// # Errors
    /// Something in the specification cannot be graded exactly and within bounds, asks an endpoint or runs programs.
    pub fn build(&self) -> Result<Box<dyn Grader>, SpecError> {
        self.build_with(&Nobody)
    }

    /// Checks all that can be known without the endpoints that it asks and the sandbox that its programs run in.
    ///
    /// # Errors
    /// As [`Self::build`], but for endpoints and programs.
    pub fn check(&self) -> Result<(), SpecError> {
        let widest = SandboxConfig {
            cpu_ms: u64::MAX,
            memory_mb: u64::MAX >> 20,
            ..SandboxConfig::default()
        };
        self.make(&Unsent, &Arc::new(Sandbox::new(&widest))).map(drop)
    }

    /// Whether its programs may run in `sandbox`, and within their limits.
    ///
    /// # Errors
    /// Why not.
    pub fn fits(&self, sandbox: &Arc<Sandbox>) -> Result<(), SpecError> {
        self.build_in(&Unsent, sandbox).map(drop)
    }

    /// Makes the grader, with somebody who asks endpoints for it; it runs no programs.
    ///
    /// # Errors
    /// Something in the specification cannot be graded within bounds, or an endpoint cannot be asked.
    pub fn build_with(&self, messenger: &dyn Messenger) -> Result<Box<dyn Grader>, SpecError> {
        self.build_in(messenger, &Arc::new(Sandbox::new(&SandboxConfig::default())))
    }

    /// Makes the grader, with a sandbox for its programs; it asks nobody.
    ///
    /// # Errors
    /// As [`Self::build`], but for programs that may run in `sandbox`.
    pub fn build_alone(&self, sandbox: &Arc<Sandbox>) -> Result<Box<dyn Grader>, SpecError> {
        self.build_in(&Nobody, sandbox)
    }

    /// Makes the grader, with somebody who asks endpoints for it and a sandbox for its programs.
    ///
    /// # Errors
    /// As [`Self::build_with`]; and where `sandbox` lets no programs run, one that does.
    pub fn build_in(&self, messenger: &dyn Messenger, sandbox: &Arc<Sandbox>) -> Result<Box<dyn Grader>, SpecError> {
        if self.runs_code() && sandbox.config().mode == CodeMode::Off {
            return Err(SpecError::CodeOff);
        }
        self.make(messenger, sandbox)
    }

    pub(crate) fn make(&self, messenger: &dyn Messenger, sandbox: &Arc<Sandbox>) -> Result<Box<dyn Grader>, SpecError> {
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
            Self::Quality(spec) => Box::new(Quality::new(spec)?),
            Self::Multi(spec) => Box::new(Multi::new(spec, messenger, sandbox)?),
            Self::External(spec) => messenger.grader(Inquiry::external(spec)?)?,
            Self::ScoreModel(spec) => messenger.grader(Inquiry::score_model(spec)?)?,
            Self::Rubric(spec) => messenger.grader(Inquiry::rubric(spec)?)?,
            Self::Code(spec) => Box::new(Code::new(spec, sandbox)?),
        })
    }
}
