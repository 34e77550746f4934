//! Tests of a problem: listed in the specification, or values of the problem's row.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::budget::Budget;
use crate::grader::{Case, Fault, Stopped};
use crate::spec::SpecError;
use crate::spec::code::{IoTest, Listed};
use crate::spec::template::Template;

/// Most tests of a problem, and most bytes of them.
const MAX_TESTS: usize = 1000;
const MAX_BYTES: usize = 64 << 20;

/// Where tests come from.
#[derive(Debug)]
pub(super) enum Source<T> {
    These(Vec<T>),
    Template(Template),
}

/// What is a test.
pub(super) trait Test: Clone + DeserializeOwned {
    /// Its bytes.
    fn size(&self) -> usize;
    /// Tests in another shape that is in use.
    fn from_other(value: &Value) -> Option<Vec<Self>>;
}

impl Test for IoTest {
    fn size(&self) -> usize {
        self.stdin.len() + self.stdout.len()
    }

    /// `{"inputs": […], "outputs": […]}`, whose members are texts or their lines.
    fn from_other(value: &Value) -> Option<Vec<Self>> {
        let columns = Columns::deserialize(value).ok()?;
        let both = columns.inputs.len() == columns.outputs.len();
        let pairs = columns.inputs.into_iter().zip(columns.outputs);
        let tests = pairs.map(|(stdin, stdout)| Self {
            stdin: stdin.text(),
            stdout: stdout.text(),
        });
        both.then(|| tests.collect())
    }
}

impl Test for String {
    fn size(&self) -> usize {
        self.len()
    }

    fn from_other(_: &Value) -> Option<Vec<Self>> {
        None
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Columns {
    inputs: Vec<Lines>,
    outputs: Vec<Lines>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Lines {
    Text(String),
    Lines(Vec<String>),
}

impl Lines {
    fn text(self) -> String {
        match self {
            Self::Text(text) => text,
            Self::Lines(lines) => lines.join("\n"),
        }
    }
}

impl<T: Test> Source<T> {
    pub(super) fn new(listed: &Listed<T>) -> Result<Self, SpecError> {
        Ok(match listed {
            Listed::These(tests) => {
                bounded(tests).map_err(|fault| SpecError::Code(fault.to_string()))?;
                Self::These(tests.clone())
            }
            Listed::Template(template) => Self::Template(Template::parse_reference(template)?),
        })
    }

    /// The tests of a case: at least one.
    pub(super) fn resolve(&self, case: &Case<'_>, budget: &mut Budget) -> Result<Vec<T>, Stopped> {
        let template = match self {
            Self::These(tests) => return Ok(tests.clone()),
            Self::Template(template) => template,
        };
        let unread = |why: serde_json::Error| Fault::Tests(why.to_string());
        let value = match template.value(case.item) {
            Some(value) => match value? {
                Value::String(text) => serde_json::from_str(text).map_err(unread)?,
                value => value.clone(),
            },
            None => serde_json::from_str(&template.resolve(case, budget)?).map_err(unread)?,
        };
        let tests = match T::from_other(&value) {
            Some(tests) => tests,
            None => serde_json::from_value(value).map_err(unread)?,
        };
        bounded(&tests)?;
        Ok(tests)
    }
}

fn bounded<T: Test>(tests: &[T]) -> Result<(), Fault> {
    if tests.is_empty() {
        return Err(Fault::Tests("there are none".to_owned()));
    }
    if tests.len() > MAX_TESTS || tests.iter().map(Test::size).sum::<usize>() > MAX_BYTES {
        return Err(Fault::Tests("more than 1000 of them, or more than 64 MiB".to_owned()));
    }
    Ok(())
}
