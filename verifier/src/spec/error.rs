//! Why a specification is refused.

/// Why no grader can be made from a specification.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SpecError {
    /// A grader without a name, or with one beyond the bound.
    #[error("a grader's name has 1 to 64 characters")]
    Name,
    /// A template that cannot be resolved.
    #[error("template {template:?}: {why}")]
    Template {
        /// The template.
        template: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A measure that is not computed.
    #[error("evaluation_metric `{metric}`: {why}")]
    Metric {
        /// Its name.
        metric: &'static str,
        /// Why not.
        why: &'static str,
    },
    /// A pattern that does not compile within the bound.
    #[error("pattern {pattern:?}: {why}")]
    Pattern {
        /// The pattern.
        pattern: String,
        /// What is wrong with it.
        why: String,
    },
    /// A schema that is not understood as a whole.
    #[error("schema at {place:?}: {why}")]
    Schema {
        /// JSON pointer to the place.
        place: String,
        /// What is wrong there.
        why: String,
    },
    /// Conditions on the format that say nothing or contradict each other.
    #[error("format: {0}")]
    Format(&'static str),
    /// Choices beyond the letters.
    #[error("choices: at most 26, none of them empty")]
    Choices,
    /// A formula that is not read, or that has no value for some rewards.
    #[error("calculate_output: {0}")]
    Formula(String),
    /// An endpoint that cannot be asked.
    #[error("endpoint `{endpoint}`: {why}")]
    Endpoint {
        /// Its name.
        endpoint: String,
        /// Why not.
        why: String,
    },
    /// What a model is asked, that cannot be.
    #[error("{0}")]
    Judge(String),
    /// A grader of programs that cannot be made.
    #[error("code: {0}")]
    Code(String),
    /// A grader of programs where the configuration does not let programs run.
    #[error("programs are not run here: `code` needs reward.code.mode `strict` or `permissive`")]
    CodeOff,
    /// Graders of a `multi` that cannot be combined.
    #[error("graders: {0}")]
    Graders(String),
}
