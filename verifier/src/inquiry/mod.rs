//! What is asked of somebody else, and what the reply is worth: the pure half of graders that need the network. Knows
//! neither addresses nor clocks; who carries the question is handed in.

mod chat;
mod external;
mod rubric;
mod score_model;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde_json::Value;

use crate::budget::Budget;
use crate::grader::{Fault, Stopped, stopped, verdict};
use crate::spec::{ExternalSpec, RubricSpec, ScoreModelSpec, SpecError};
use crate::{Case, Grader, Scored};

/// Longest name of an endpoint or a rule, characters.
const MAX_NAME: usize = 64;

/// A question to an endpoint about any response.
#[derive(Debug)]
pub struct Inquiry {
    endpoint: String,
    asks: Asks,
}

#[derive(Debug)]
enum Asks {
    External(external::External),
    ScoreModel(score_model::ScoreModel),
    Rubric(rubric::Rubric),
}

/// What a reply is worth.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// The reward in [0, 1].
    pub reward: f64,
    /// The rule that decided.
    pub rule: String,
    /// Shares of it by name.
    pub parts: BTreeMap<String, f64>,
}

/// A reply that gives no reward.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoFinding {
    /// It cannot be read; another attempt may be better.
    Unreadable(String),
    /// The endpoint says that it has none.
    Declined(String),
}

/// Makes graders of inquiries.
pub trait Messenger {
    /// The grader that carries an inquiry to its endpoint.
    ///
    /// # Errors
    /// There is no such endpoint, or it may not be used here.
    fn grader(&self, inquiry: Inquiry) -> Result<Box<dyn Grader>, SpecError>;
}

impl Inquiry {
    pub(crate) fn external(spec: &ExternalSpec) -> Result<Self, SpecError> {
        Self::to(&spec.endpoint, Asks::External(external::External::new(spec)))
    }

    pub(crate) fn score_model(spec: &ScoreModelSpec) -> Result<Self, SpecError> {
        Self::to(&spec.endpoint, Asks::ScoreModel(score_model::ScoreModel::new(spec)?))
    }

    pub(crate) fn rubric(spec: &RubricSpec) -> Result<Self, SpecError> {
        Self::to(&spec.endpoint, Asks::Rubric(rubric::Rubric::new(spec)?))
    }

    fn to(endpoint: &str, asks: Asks) -> Result<Self, SpecError> {
        if endpoint.is_empty() || endpoint.chars().count() > MAX_NAME {
            return Err(SpecError::Endpoint {
                endpoint: endpoint.chars().take(MAX_NAME).collect(),
                why: "its name has 1 to 64 characters".into(),
            });
        }
        let endpoint = endpoint.to_owned();
        Ok(Self { endpoint, asks })
    }

    /// Name of the endpoint.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// All that decides what a reply is worth, as a text: where two inquiries differ in it, the same reply may be worth
    /// different rewards.
    #[must_use]
    pub fn reading(&self) -> String {
        format!("{:?}", self.asks)
    }

    /// What follows the endpoint's address.
    #[must_use]
    pub fn path(&self) -> &'static str {
        match self.asks {
            Asks::External(_) => "",
            Asks::ScoreModel(_) | Asks::Rubric(_) => "/chat/completions",
        }
    }

    /// The body of the request about a response, at most `max_bytes` long, and the steps that it took.
    ///
    /// # Errors
    /// The score, where nobody needs to be asked: 0 if the response makes the request too long, a fault if it is too long
    /// without it or the problem lacks a value.
    pub fn body(&self, case: &Case<'_>, max_bytes: usize) -> Result<(Vec<u8>, u64), Scored> {
        let mut budget = Budget::new(case.max_steps);
        match self.bounded(case, max_bytes, &mut budget) {
            Ok(body) => Ok((body, budget.used())),
            Err(why) => Err(stopped(why, &budget)),
        }
    }

    fn bounded(&self, case: &Case<'_>, max_bytes: usize, budget: &mut Budget) -> Result<Vec<u8>, Stopped> {
        // First without the response, so that a fault of the problem never depends on it.
        let without = Case { response: "", ..*case };
        match self.bytes(&without, budget) {
            Ok(body) if body.len() > max_bytes => return Err(Fault::TooLong.into()),
            Err(Stopped::Fault(fault)) => return Err(fault.into()),
            _ => {}
        }
        match self.bytes(case, budget) {
            Ok(body) if body.len() > max_bytes => Err(Stopped::Zero("response_too_long")),
            Err(Stopped::Fault(Fault::TooLong)) => Err(Stopped::OVER_BUDGET),
            outcome => outcome,
        }
    }

    fn bytes(&self, case: &Case<'_>, budget: &mut Budget) -> Result<Vec<u8>, Stopped> {
        let body: Value = match &self.asks {
            Asks::External(external) => external.body(case, budget)?,
            Asks::ScoreModel(model) => model.body(case, budget)?,
            Asks::Rubric(rubric) => rubric.body(case, budget)?,
        };
        Ok(body.to_string().into_bytes())
    }

    /// What a reply is worth.
    ///
    /// # Errors
    /// The reply gives no reward.
    pub fn read(&self, reply: &[u8]) -> Result<Finding, NoFinding> {
        let reply: Value = serde_json::from_slice(reply).map_err(|_| unreadable("the reply is no JSON"))?;
        match &self.asks {
            Asks::External(_) => external::read(&reply),
            Asks::ScoreModel(model) => model.read(&reply),
            Asks::Rubric(rubric) => rubric.read(&reply),
        }
    }
}

impl Finding {
    /// The score of a response after so many steps.
    #[must_use]
    pub fn scored(self, steps: u64) -> Scored {
        let reward = Ok(self.reward);
        Scored {
            verdict: verdict(&reward, &self.rule),
            reward,
            rule: self.rule,
            steps,
            parts: self.parts,
        }
    }
}

impl Scored {
    /// The score of a response that nobody could be asked about: no reward, and why.
    #[must_use]
    pub fn unanswered(why: String, steps: u64) -> Self {
        let reward = Err(Fault::Unanswered { why });
        Self {
            verdict: verdict(&reward, "fault"),
            reward,
            rule: "fault".into(),
            steps,
            parts: BTreeMap::new(),
        }
    }
}

fn unreadable(why: &str) -> NoFinding {
    NoFinding::Unreadable(why.to_owned())
}

/// Checks inquiries without anybody to carry them.
#[derive(Debug)]
pub(crate) struct Unsent;

impl Messenger for Unsent {
    fn grader(&self, inquiry: Inquiry) -> Result<Box<dyn Grader>, SpecError> {
        Ok(Box::new(Undelivered(inquiry)))
    }
}

/// Refuses inquiries.
#[derive(Debug)]
pub(crate) struct Nobody;

impl Messenger for Nobody {
    fn grader(&self, inquiry: Inquiry) -> Result<Box<dyn Grader>, SpecError> {
        Err(SpecError::Endpoint {
            endpoint: inquiry.endpoint,
            why: "this command reaches no endpoints; runs do, by `[reward.endpoints]`".into(),
        })
    }
}

#[derive(Debug)]
struct Undelivered(Inquiry);

impl Grader for Undelivered {
    fn grade(&self, case: &Case<'_>) -> Scored {
        match self.0.body(case, usize::MAX) {
            Ok((_, steps)) => Scored::unanswered("nobody was asked".into(), steps),
            Err(scored) => scored,
        }
    }
}
