//! Templates such as `{{ item.answer }}`: resolved by looking values up, never by running anything.

use serde_json::Value;

use super::SpecError;
use crate::budget::Budget;
use crate::grader::{Case, Fault, Stopped};
use crate::text::extract::after_reasoning;

/// Most bytes of a template, and most pieces of one.
const MAX_TEMPLATE: usize = 64 << 10;
const MAX_PIECES: usize = 64;
/// Most bytes that a template may resolve to.
const MAX_TEXT: usize = 1 << 20;
/// Most names and indices of a path.
const MAX_PATH: usize = 16;
/// Bytes that are copied for one step.
const BYTES_PER_STEP: usize = 64;

/// A template, cut into pieces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Template {
    pieces: Vec<Piece>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Literal(String),
    /// The response after its reasoning.
    OutputText,
    /// The whole response.
    FullText,
    /// A value of the response read as JSON.
    OutputJson(Path),
    /// A value of the problem.
    Item(Path),
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Path(Vec<Step>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Key(String),
    Index(usize),
}

impl Template {
    pub(crate) fn parse(template: &str) -> Result<Self, SpecError> {
        let refuse = |why| SpecError::Template {
            template: template.chars().take(200).collect(),
            why,
        };
        if template.len() > MAX_TEMPLATE {
            return Err(refuse("longer than 64 KiB"));
        }
        let (mut pieces, mut rest) = (Vec::new(), template);
        while let Some((before, after)) = rest.split_once("{{") {
            let (inside, after) = after.split_once("}}").ok_or_else(|| refuse("`{{` without `}}`"))?;
            if !before.is_empty() {
                pieces.push(Piece::Literal(before.to_owned()));
            }
            pieces.push(Piece::parse(inside.trim()).map_err(refuse)?);
            rest = after;
        }
        if !rest.is_empty() {
            pieces.push(Piece::Literal(rest.to_owned()));
        }
        if pieces.len() > MAX_PIECES {
            return Err(refuse("more than 64 pieces"));
        }
        Ok(Self { pieces })
    }

    /// As [`Self::parse`], for what a response is compared with: it may not hold the response, or a response could make the
    /// comparison a fault and so escape its 0.
    pub(crate) fn parse_reference(template: &str) -> Result<Self, SpecError> {
        let parsed = Self::parse(template)?;
        if !parsed.holds_response() {
            return Ok(parsed);
        }
        Err(SpecError::Template {
            template: template.chars().take(200).collect(),
            why: "a reference may not hold the response; put `sample` into `input`",
        })
    }

    /// Whether some of it comes from the response.
    pub(crate) fn holds_response(&self) -> bool {
        let ours = |piece: &Piece| matches!(piece, Piece::Literal(_) | Piece::Item(_));
        !self.pieces.iter().all(ours)
    }

    /// The value of a template that is one variable of the problem, as it is in its row; of any other one, none.
    pub(crate) fn value<'a>(&self, item: &'a Value) -> Option<Result<&'a Value, Fault>> {
        match self.pieces.as_slice() {
            [Piece::Item(path)] => Some(path.item(item)),
            _ => None,
        }
    }

    /// The text for a case. What is too long without the response is a fault, what the response makes too long is not.
    pub(crate) fn resolve(&self, case: &Case<'_>, budget: &mut Budget) -> Result<String, Stopped> {
        let (mut text, mut ours) = (String::new(), 0);
        for piece in &self.pieces {
            let before = text.len();
            match piece {
                Piece::Literal(literal) => text.push_str(literal),
                Piece::Item(path) => push_value(&mut text, path.item(case.item)?),
                Piece::OutputText => text.push_str(bounded(after_reasoning(case.response))?),
                Piece::FullText => text.push_str(bounded(case.response)?),
                Piece::OutputJson(path) => {
                    let answer = bounded(after_reasoning(case.response))?;
                    // Each piece reads the whole response again.
                    budget
                        .charge((answer.len() / BYTES_PER_STEP) as u64)
                        .map_err(|_| Stopped::OVER_BUDGET)?;
                    let value: Value = serde_json::from_str(answer).map_err(|_| Stopped::Zero("not_json"))?;
                    push_value(&mut text, path.find(&value).ok_or(Stopped::Zero("value_missing"))?);
                }
            }
            if matches!(piece, Piece::Literal(_) | Piece::Item(_)) {
                ours += text.len() - before;
            }
            if ours > MAX_TEXT {
                return Err(Stopped::Fault(Fault::TooLong));
            }
            bounded(&text)?;
        }
        let theirs = text.len() - ours;
        budget
            .charge((ours / BYTES_PER_STEP) as u64)
            .map_err(|_| Fault::TooLong)?;
        budget
            .charge((theirs / BYTES_PER_STEP) as u64)
            .map_err(|_| Stopped::OVER_BUDGET)?;
        Ok(text)
    }
}

fn bounded(text: &str) -> Result<&str, Stopped> {
    if text.len() > MAX_TEXT {
        return Err(Stopped::Zero("response_too_long"));
    }
    Ok(text)
}

/// Strings as they are, everything else as JSON.
fn push_value(text: &mut String, value: &Value) {
    match value {
        Value::String(string) => text.push_str(string),
        other => text.push_str(&other.to_string()),
    }
}

impl Piece {
    fn parse(inside: &str) -> Result<Self, &'static str> {
        let name = inside.split(['.', '[']).next().unwrap_or_default();
        let rest = &inside[name.len()..];
        let path = Path::parse(rest)?;
        let first = match path.0.first() {
            Some(Step::Key(key)) => key.as_str(),
            _ => return Err("a variable is `item.NAME` or `sample.NAME`"),
        };
        match (name, first, path.0.len()) {
            ("item", _, _) => Ok(Self::Item(path)),
            ("sample", "output_text", 1) => Ok(Self::OutputText),
            ("sample", "full_text", 1) => Ok(Self::FullText),
            ("sample", "output_json", _) => Ok(Self::OutputJson(Path(path.0[1..].to_vec()))),
            ("sample", "output_tools", _) => Err("`sample.output_tools` is not kept"),
            ("sample", _, _) => Err("`sample` has output_text, full_text and output_json"),
            _ => Err("a variable is `item.NAME` or `sample.NAME`"),
        }
    }
}

impl Path {
    /// Reads `.name` and `[3]`, as often as they come.
    fn parse(mut rest: &str) -> Result<Self, &'static str> {
        let mut steps = Vec::new();
        while !rest.is_empty() {
            if steps.len() == MAX_PATH {
                return Err("a path of more than 16 names");
            }
            if let Some(after) = rest.strip_prefix('[') {
                let (index, after) = after.split_once(']').ok_or("`[` without `]`")?;
                steps.push(Step::Index(index.parse().map_err(|_| "an index is a number")?));
                rest = after;
                continue;
            }
            let after = rest.strip_prefix('.').ok_or("a path is `.name` or `[3]`")?;
            let key = after.split(['.', '[']).next().unwrap_or_default();
            if key.is_empty() || !key.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-')) {
                return Err("a name has letters, digits, `_` and `-`");
            }
            steps.push(Step::Key(key.to_owned()));
            rest = &after[key.len()..];
        }
        Ok(Self(steps))
    }

    fn find<'a>(&self, value: &'a Value) -> Option<&'a Value> {
        self.0.iter().try_fold(value, |value, step| match step {
            Step::Key(key) => value.get(key),
            Step::Index(index) => value.get(index),
        })
    }

    /// The value in an item. One that is missing or null is a fault of the row, never of the answer.
    fn item<'a>(&self, item: &'a Value) -> Result<&'a Value, Fault> {
        let found = self.find(item).filter(|value| !value.is_null());
        found.ok_or_else(|| Fault::Missing { path: self.to_string() })
    }
}

impl std::fmt::Display for Path {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("item")?;
        self.0.iter().try_for_each(|step| match step {
            Step::Key(key) => write!(f, ".{key}"),
            Step::Index(index) => write!(f, "[{index}]"),
        })
    }
}
