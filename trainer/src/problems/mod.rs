//! Problems: from files with configurable columns, and from a procedural generator.

pub mod procedural;

use serde::{Deserialize, Serialize};

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
