//! `code`: runs the program of a response in the sandbox. What is expected of it is compared here, or in a second
//! program that the first one cannot reach; it is never part of what the first one is given.

mod asserts;
pub(crate) mod block;
pub(crate) mod output;
mod tests_of;

use std::sync::Arc;

use super::{Case, Decided, Fault, Grader, Scored, Stopped, within};
use crate::budget::Budget;
use crate::sandbox::{CodeMode, Ended, Limits, Run, Sandbox, SandboxFault};
use crate::spec::SpecError;
use crate::spec::code::{CodeSpec, Compare, Extract, IoTest, Worth};
use crate::spec::template::Template;
use asserts::Asserts;
use tests_of::Source;

/// Longest program, bytes.
const MAX_PROGRAM: usize = 256 << 10;

/// A grader of programs.
#[derive(Debug)]
pub(crate) struct Code {
    input: Template,
    extract: Extract,
    checks: Checks,
    worth: Worth,
    limits: Limits,
    sandbox: Arc<Sandbox>,
}

/// What a program must do.
#[derive(Debug)]
enum Checks {
    Outputs {
        tests: Source<IoTest>,
        compare: Compare,
        tolerance: Option<f64>,
    },
    Asserts(Asserts),
}

impl Code {
    pub(crate) fn new(spec: &CodeSpec, sandbox: &Arc<Sandbox>) -> Result<Self, SpecError> {
        let refuse = |why: &str| Err(SpecError::Code(why.to_owned()));
        let checks = match (&spec.tests, &spec.asserts) {
            (tests, asserts) if tests.is_empty() == asserts.is_empty() => {
                return refuse("needs `tests` or `asserts`, one of them");
            }
            (tests, asserts) if asserts.is_empty() => {
                if !spec.entry.is_empty() || !spec.setup.is_empty() {
                    return refuse("`entry` and `setup` go with `asserts`");
                }
                Checks::Outputs {
                    tests: Source::new(tests)?,
                    compare: spec.compare,
                    tolerance: spec.tolerance,
                }
            }
            (_, asserts) => Checks::Asserts(Asserts::new(asserts, &spec.entry, &spec.setup)?),
        };
        if let Some(tolerance) = spec.tolerance {
            if spec.compare != Compare::Tokens || spec.tests.is_empty() {
                return refuse("`tolerance` goes with `\"compare\": \"tokens\"`");
            }
            if !(0.0..1.0).contains(&tolerance) {
                return refuse("`tolerance` must be at least 0 and below 1");
            }
        }
        Ok(Self {
            input: Template::parse(&spec.input)?,
            extract: spec.extract,
            checks,
            worth: spec.reward,
            limits: limits(spec, sandbox)?,
            sandbox: Arc::clone(sandbox),
        })
    }

    /// The program, or why there is none.
    fn program(&self, case: &Case<'_>, budget: &mut Budget) -> Result<String, Stopped> {
        let text = self.input.resolve(case, budget)?;
        let program = match self.extract {
            Extract::Text => Some(text.as_str()),
            Extract::Block => block::last(&text),
        };
        match program {
            Some(program) if program.len() > MAX_PROGRAM => Err(Stopped::Zero("response_too_long")),
            Some(program) if !program.trim().is_empty() => Ok(program.to_owned()),
            _ => Err(Stopped::Zero("no_answer")),
        }
    }

    fn decide(&self, case: &Case<'_>, budget: &mut Budget) -> Decided {
        if self.sandbox.config().mode == CodeMode::Off {
            return Err(fault(SandboxFault::Off).into());
        }
        // What is expected first: its faults do not depend on the response.
        match &self.checks {
            Checks::Asserts(asserts) => {
                let asked = asserts.resolve(case, budget)?;
                let program = self.program(case, budget)?;
                let passed = asked.run(program, &self.sandbox, &self.limits)?;
                Ok(self.reward(&passed))
            }
            Checks::Outputs {
                tests,
                compare,
                tolerance,
            } => {
                let tests = tests.resolve(case, budget)?;
                let program = self.program(case, budget)?;
                let passed = self.outputs(&program, &tests, |said, wanted| {
                    output::same(said, wanted, *compare, *tolerance)
                })?;
                Ok(self.reward(&passed))
            }
        }
    }

    /// What is found of each test; those after the first failure are left out if they can change nothing.
    fn outputs(
        &self,
        program: &str,
        tests: &[IoTest],
        same: impl Fn(&[u8], &str) -> bool,
    ) -> Result<Vec<Option<&'static str>>, Fault> {
        let mut found = Vec::with_capacity(tests.len());
        let mut spent_ms = 0;
        for test in tests {
            let failed = if spent_ms >= self.sandbox.config().response_ms {
                Some("response_time_limit")
            } else {
                let files = vec![("main.py".to_owned(), program.to_owned())];
                let started = self.sandbox.python(files, test.stdin.clone()).map_err(fault)?;
                let run = self.sandbox.run(&started, &self.limits).map_err(fault)?;
                spent_ms += run.wall_ms;
                failure(&run).or_else(|| (!same(&run.stdout, &test.stdout)).then_some("wrong_output"))
            };
            found.push(failed);
            if failed.is_some() && self.worth == Worth::All {
                break;
            }
        }
        Ok(found)
    }

    /// The reward of what was found, and the first failure as the rule.
    fn reward(&self, found: &[Option<&'static str>]) -> (f64, &'static str) {
        let passed = found.iter().filter(|failed| failed.is_none()).count();
        match found.iter().flatten().next() {
            None => (1.0, "tests_passed"),
            Some(rule) if self.worth == Worth::All => (0.0, rule),
            Some(rule) => (passed as f64 / found.len() as f64, rule),
        }
    }
}

impl Grader for Code {
    fn grade(&self, case: &Case<'_>) -> Scored {
        within(case, |budget| self.decide(case, budget))
    }
}

/// The limits of one test: those of the configuration, or less.
fn limits(spec: &CodeSpec, sandbox: &Sandbox) -> Result<Limits, SpecError> {
    let mut limits = sandbox.config().limits();
    if let Some(cpu_ms) = spec.cpu_ms {
        if !(10..=limits.cpu_ms).contains(&cpu_ms) {
            let most = limits.cpu_ms;
            return Err(SpecError::Code(format!(
                "`cpu_ms` must lie in 10..={most} (reward.code.cpu_ms)"
            )));
        }
        limits.cpu_ms = cpu_ms;
    }
    if let Some(memory_mb) = spec.memory_mb {
        let most = sandbox.config().memory_mb;
        if !(16..=most).contains(&memory_mb) {
            return Err(SpecError::Code(format!(
                "`memory_mb` must lie in 16..={most} (reward.code.memory_mb)"
            )));
        }
        limits.memory_bytes = memory_mb << 20;
    }
    Ok(limits)
}

/// Why a program failed whatever it wrote.
fn failure(run: &Run) -> Option<&'static str> {
    Some(match run.ended {
        Ended::Exited(0) => return None,
        Ended::Exited(_) => "exit_status",
        Ended::Signalled(_) => "signal",
        Ended::OverTime => "time_limit",
        Ended::OverCpu => "cpu_limit",
        Ended::OverMemory => "memory_limit",
        Ended::OverOutput => "output_limit",
        Ended::OverProcesses => "process_limit",
    })
}

fn fault(fault: SandboxFault) -> Fault {
    Fault::Sandbox(fault)
}
