//! Problems: from files with configurable columns, and from a procedural generator.

pub mod files;
pub mod procedural;
mod split;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use svs_engine::text::ChatMessage;
use svs_verifier::spec::GraderSpec;

pub use files::{AnswerForm, FileOptions, Loaded, ProblemError, load, load_counted, visit};
pub use split::split;

/// A problem with a checkable answer.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Problem {
    /// Unique within its source.
    pub id: String,
    /// Question as given, without instructions.
    pub question: String,
    /// Reference answer; empty where only a grader can judge.
    pub answer: String,
    /// Data source, e.g. `svamp`, `procedural`.
    pub source: String,
    /// The conversation that poses it, as it is; `None` puts the question into the template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub messages: Option<Vec<ChatMessage>>,
    /// What helps to solve it without giving the answer away; shown only where a run gives hints.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Its own grader; `None` takes the run's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grader: Option<Box<GraderSpec>>,
    /// The row that it was read from, if a grader may look into it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub row: Option<Box<Map<String, Value>>>,
}
