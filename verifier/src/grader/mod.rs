//! Graders: from a response and its problem to a reward in [0, 1], or to a fault that is not the response's.

pub(crate) mod choice;
pub(crate) mod code;
pub(crate) mod format;
pub(crate) mod json_schema;
pub(crate) mod mathematics;
pub(crate) mod multi;
pub(crate) mod pattern;
pub(crate) mod quality;
pub(crate) mod regex;
pub(crate) mod string_check;
pub(crate) mod text_similarity;

use std::collections::BTreeMap;

use serde_json::Value;

use crate::Verdict;
use crate::budget::Budget;
use crate::sandbox::SandboxFault;
use crate::spec::SpecError;
use crate::spec::template::Template;

/// Grades responses: total, deterministic, within the steps of the case.
pub trait Grader: std::fmt::Debug + Send + Sync {
    /// Grades one response.
    fn grade(&self, case: &Case<'_>) -> Scored;
}

/// One response and the problem that it answers.
#[derive(Debug, Clone, Copy)]
pub struct Case<'a> {
    /// The whole response, with its reasoning.
    pub response: &'a str,
    /// The row of the problem, that templates call `item`.
    pub item: &'a Value,
    /// Steps that grading may take; fewer than 4 for each grader count as 4.
    pub max_steps: u64,
}

impl<'a> Case<'a> {
    /// A case with the default bound on steps.
    #[must_use]
    pub fn new(response: &'a str, item: &'a Value) -> Self {
        Self {
            response,
            item,
            max_steps: crate::MathOptions::default().max_steps,
        }
    }
}

/// A reward or a fault, and how it was reached.
#[derive(Debug, Clone, PartialEq)]
pub struct Scored {
    /// The reward in [0, 1], or why there is none: then nothing may be trained on.
    pub reward: Result<f64, Fault>,
    /// What was found; of a reward between 0 and 1, that it is not the whole one.
    pub verdict: Verdict,
    /// The rule that decided.
    pub rule: String,
    /// Steps counted, not clocked.
    pub steps: u64,
    /// The rewards that a formula combined, by their names.
    pub parts: BTreeMap<String, f64>,
}

/// Why there is no reward: never because of what a response says, so that none can escape a 0 through one. Only a gold
/// that is kept unevaluated is no fault to the one answer that equals it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The problem lacks a value.
    #[error("{path} is missing")]
    Missing {
        /// The variable.
        path: String,
    },
    /// What the problem and the specification give is beyond the bounds.
    #[error("the reference is too long")]
    TooLong,
    /// There is nothing to compare with.
    #[error("the reference is empty, or too short for the metric")]
    Empty,
    /// The gold answer cannot be read.
    #[error("the gold answer cannot be read: {rule}")]
    Gold {
        /// The rule that found so.
        rule: String,
    },
    /// Nobody answered who was asked.
    #[error("{why}")]
    Unanswered {
        /// Why not.
        why: String,
    },
    /// The tests of a program cannot be read or run.
    #[error("the tests cannot be used: {0}")]
    Tests(String),
    /// A program was not run, or how it ended is not known.
    #[error("{0}")]
    Sandbox(SandboxFault),
    /// The formula has no value.
    #[error("the formula has no value")]
    Formula,
    /// A grader of a formula has a fault.
    #[error("grader `{name}`: {fault}")]
    Part {
        /// Its name.
        name: String,
        /// Its fault.
        fault: Box<Fault>,
    },
}

/// Why a grading ended before its comparison.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Stopped {
    /// By no fault of the response.
    Fault(Fault),
    /// By the response: a reward of 0, by this rule.
    Zero(&'static str),
}

impl Stopped {
    /// The response asks for more steps than there are.
    pub(crate) const OVER_BUDGET: Self = Self::Zero("over_budget");
}

impl From<Fault> for Stopped {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

/// A reward with the rule that decided.
pub(crate) type Decided = Result<(f64, &'static str), Stopped>;

/// Runs a grading under a budget of the case.
pub(crate) fn within(case: &Case<'_>, decide: impl FnOnce(&mut Budget) -> Decided) -> Scored {
    let mut budget = Budget::new(case.max_steps);
    match decide(&mut budget) {
        Ok((reward, rule)) => Scored::new(Ok(reward), rule, &budget),
        Err(why) => stopped(why, &budget),
    }
}

/// What a grading that ended early is worth.
pub(crate) fn stopped(why: Stopped, budget: &Budget) -> Scored {
    match why {
        Stopped::Zero(rule) => Scored::new(Ok(0.0), rule, budget),
        Stopped::Fault(fault) => Scored::new(Err(fault), "fault", budget),
    }
}

impl Scored {
    fn new(reward: Result<f64, Fault>, rule: &str, budget: &Budget) -> Self {
        Self {
            verdict: verdict(&reward, rule),
            reward,
            rule: rule.to_owned(),
            steps: budget.used(),
            parts: BTreeMap::new(),
        }
    }
}

/// What a reward and the rule that decided say of the response.
pub(crate) fn verdict(reward: &Result<f64, Fault>, rule: &str) -> Verdict {
    match (reward, rule) {
        (Err(_), _) => Verdict::Infrastructure,
        (Ok(reward), _) if *reward >= 1.0 => Verdict::Correct,
        (Ok(_), "over_budget" | "response_too_long") => Verdict::OverBudget,
        (Ok(_), rule) if rule.ends_with("_limit") => Verdict::OverBudget,
        (Ok(_), "no_answer") => Verdict::NoAnswer,
        (Ok(_), "not_json" | "nested_too_deep" | "value_missing" | "no_option") => Verdict::Unparseable,
        (Ok(_), _) => Verdict::Wrong,
    }
}

/// 1 if something holds, else 0.
pub(crate) fn worth(holds: bool) -> f64 {
    if holds { 1.0 } else { 0.0 }
}

/// The two texts of a comparison.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sides {
    input: Template,
    reference: Template,
}

impl Sides {
    pub(crate) fn parse(input: &str, reference: &str) -> Result<Self, SpecError> {
        Ok(Self {
            input: Template::parse(input)?,
            reference: Template::parse_reference(reference)?,
        })
    }

    /// Input and reference. The reference is resolved first, so that its faults do not depend on the response.
    pub(crate) fn resolve(&self, case: &Case<'_>, budget: &mut Budget) -> Result<(String, String), Stopped> {
        let reference = self.reference.resolve(case, budget)?;
        Ok((self.input.resolve(case, budget)?, reference))
    }
}
