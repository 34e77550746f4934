//! Asserts: run in a program of ours, which asks the response's program for the values of its functions over a stream.
//! So the asserts, which hold what is expected, are in a process that the response's program cannot reach.

use serde::{Deserialize, Serialize};

use super::tests_of::Source;
use super::{failure, fault};
use crate::budget::Budget;
use crate::grader::{Case, Fault, Stopped};
use crate::sandbox::{Ended, Limits, Sandbox};
use crate::spec::SpecError;
use crate::spec::code::Listed;
use crate::spec::template::Template;

/// Runs the asserts.
const ASKER: &str = include_str!("asker.py");
/// Loads the response's program and answers.
const ANSWERER: &str = include_str!("answerer.py");
/// How values travel: part of both.
const VALUES: &str = include_str!("values.py");
/// Time that asserts have beyond that of the program that they ask, milliseconds.
const ASKER_MS: u64 = 5_000;
/// Most functions that asserts may call.
const MAX_ENTRIES: usize = 64;

/// Asserts of a specification.
#[derive(Debug)]
pub(super) struct Asserts {
    asserts: Source<String>,
    entry: Vec<Template>,
    setup: Template,
}

/// Asserts of a problem, as they are told to the program that runs them.
#[derive(Debug, Serialize)]
pub(super) struct Asked {
    asserts: Vec<String>,
    entry: Vec<String>,
    setup: String,
}

/// What that program says.
#[derive(Deserialize)]
enum Said {
    /// What is found of each assert.
    #[serde(rename = "found")]
    Found(Vec<Of>),
    /// What is wrong with them, found before the response's program was asked anything.
    #[serde(rename = "wrong")]
    Wrong(String),
}

/// What is found of an assert.
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Of {
    Passed,
    Wrong,
    /// A function returned what cannot be told to the assert.
    Untold,
}

impl Asserts {
    pub(super) fn new(asserts: &Listed<String>, entry: &[String], setup: &str) -> Result<Self, SpecError> {
        if entry.is_empty() || entry.len() > MAX_ENTRIES {
            return Err(SpecError::Code("`asserts` need `entry`, 1 to 64 names".to_owned()));
        }
        Ok(Self {
            asserts: Source::new(asserts)?,
            entry: entry
                .iter()
                .map(|name| Template::parse_reference(name))
                .collect::<Result<_, _>>()?,
            setup: Template::parse_reference(setup)?,
        })
    }

    pub(super) fn resolve(&self, case: &Case<'_>, budget: &mut Budget) -> Result<Asked, Stopped> {
        let asserts = self.asserts.resolve(case, budget)?;
        let mut entry = Vec::with_capacity(self.entry.len());
        for name in &self.entry {
            let name = name.resolve(case, budget)?;
            if name.is_empty() || !name.chars().all(|c| c.is_alphanumeric() || c == '_') {
                return Err(Fault::Tests(format!("`entry`: {name:?} is no name of a function")).into());
            }
            entry.push(name);
        }
        let setup = self.setup.resolve(case, budget)?;
        Ok(Asked { asserts, entry, setup })
    }
}

impl Asked {
    /// What is found of each assert.
    pub(super) fn run(
        &self,
        program: String,
        sandbox: &Sandbox,
        limits: &Limits,
    ) -> Result<Vec<Option<&'static str>>, Fault> {
        let file = |name: &str, text: &str| (name.to_owned(), text.to_owned());
        let told = serde_json::to_string(self).map_err(|error| Fault::Tests(error.to_string()))?;
        let asker = vec![
            file("main.py", ASKER),
            file("values.py", VALUES),
            file("asserts.json", &told),
        ];
        let answerer = vec![
            file("main.py", ANSWERER),
            file("values.py", VALUES),
            ("program.py".to_owned(), program),
        ];
        let asker = sandbox.python(asker, String::new()).map_err(fault)?;
        let answerer = sandbox.python(answerer, String::new()).map_err(fault)?;
        let longer = Limits {
            wall_ms: limits.wall_ms + ASKER_MS,
            ..*limits
        };
        let [asked, answered] = sandbox
            .run_linked([(&asker, &longer), (&answerer, limits)])
            .map_err(fault)?;
        let count = self.asserts.len();
        let said = match asked.ended {
            Ended::Exited(0) => serde_json::from_slice(&asked.stdout).ok(),
            _ => None,
        };
        match said {
            Some(Said::Wrong(why)) => Err(Fault::Tests(why)),
            Some(Said::Found(found)) if found.len() == count => {
                // If the program ended early, that is why it did not answer.
                let why = failure(&answered);
                let rule = |of: &Of| match of {
                    Of::Passed => None,
                    Of::Wrong => Some(why.unwrap_or("wrong_value")),
                    Of::Untold => Some("untold_value"),
                };
                Ok(found.iter().map(rule).collect())
            }
            // Asserts that the program's answers led to a limit: not a fault, or it could choose one.
            _ => Ok(vec![failure(&asked).or(Some("wrong_value")); count]),
        }
    }
}
