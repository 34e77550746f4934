//! `code`: the specification of a grader that runs the program of a response.

use serde::{Deserialize, Serialize};

/// `code`: 1 if the Python program of a response passes its tests, or the share of them that it passes.
///
/// This is not OpenAI's `python` grader: there the *specification* holds a program that grades, here the *response* does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CodeSpec {
    /// Name of the grader.
    pub name: String,
    /// Template of the text that holds the program.
    #[serde(default = "super::output_text")]
    pub input: String,
    /// Where in it the program is.
    #[serde(default)]
    pub extract: Extract,
    /// Inputs and what must be written for them: listed, or a template of them.
    #[serde(default)]
    pub tests: Listed<IoTest>,
    /// Statements that must hold, each a test: listed, or a template of them.
    #[serde(default)]
    pub asserts: Listed<String>,
    /// Functions of the program that asserts may call: templates of their names.
    #[serde(default)]
    pub entry: Vec<String>,
    /// Template of Python that is run before the asserts: imports and functions that they use.
    #[serde(default)]
    pub setup: String,
    /// What passing some of the tests is worth.
    #[serde(default)]
    pub reward: Worth,
    /// How outputs are compared.
    #[serde(default)]
    pub compare: Compare,
    /// With `tokens`, how far numbers may differ: by this, or by this share of the expected one.
    #[serde(default)]
    pub tolerance: Option<f64>,
    /// Processor time of a test, at most that of the configuration; milliseconds.
    #[serde(default)]
    pub cpu_ms: Option<u64>,
    /// Memory of a test, at most that of the configuration; MiB.
    #[serde(default)]
    pub memory_mb: Option<u64>,
}

/// Where the program is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Extract {
    /// In the last fenced block marked as Python; where there is none, in the last one without a language.
    #[default]
    Block,
    /// Everywhere: the text is the program.
    Text,
}

/// What passing some of the tests is worth.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Worth {
    /// Nothing.
    #[default]
    All,
    /// Their share.
    Fraction,
}

/// How outputs are compared.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Compare {
    /// Byte by byte.
    Exact,
    /// Line by line, whitespace at the ends of lines and empty lines at the end aside.
    #[default]
    Lines,
    /// Word by word, whatever whitespace is between them.
    Tokens,
}

/// A list, or a template of one: a variable of the problem, or JSON.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(
    untagged,
    expecting = "expected a list (of objects for `tests`, of texts for `asserts`) or a template of one"
)]
pub enum Listed<T> {
    /// The list.
    These(Vec<T>),
    /// Its template.
    Template(String),
}

impl<T> Default for Listed<T> {
    fn default() -> Self {
        Self::These(Vec::new())
    }
}

impl<T> Listed<T> {
    /// Whether there is nothing in it, and never will be.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        matches!(self, Self::These(list) if list.is_empty())
    }
}

/// An input and what must be written for it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(remote = "Self", deny_unknown_fields)]
pub struct IoTest {
    /// What the program reads.
    #[serde(default, alias = "input")]
    pub stdin: String,
    /// What it must write.
    #[serde(alias = "output")]
    pub stdout: String,
}

crate::objects_only! { IoTest: "a test" }
