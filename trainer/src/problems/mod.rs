//! Problems: from files with configurable columns, and from a procedural generator.

pub mod files;
pub mod procedural;
mod split;

use serde::{Deserialize, Serialize};

pub use files::{AnswerForm, FileOptions, Loaded, ProblemError, load, load_counted};
pub use split::split;

/// A problem with a checkable answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// Unique within its source.
    pub id: String,
    /// Question as given, without instructions.
    pub question: String,
    /// Reference answer.
    pub answer: String,
    /// Data source, e.g. `svamp`, `procedural`.
    pub source: String,
}
