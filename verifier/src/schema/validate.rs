//! Judges values by a schema.

use std::cmp::Ordering;

use serde_json::{Map, Value};

use super::Schema;
use super::number::{compare, equal, is_multiple, is_whole};
use crate::budget::Budget;
use crate::grader::Stopped;
use crate::grader::pattern::Pattern;

/// How many schemas deep a value may be judged. Values nest at most 128 deep.
const MAX_DEPTH: usize = 400;
/// Bytes of a string that are read for one step.
const BYTES_PER_STEP: usize = 64;

pub(super) type Judged = Result<bool, Stopped>;

/// A judgement under way.
pub(super) struct Validator<'a, 'b> {
    schema: &'a Schema,
    pub(super) budget: &'b mut Budget,
}

impl<'a, 'b> Validator<'a, 'b> {
    pub(super) fn new(schema: &'a Schema, budget: &'b mut Budget) -> Self {
        Self { schema, budget }
    }

    /// Whether a schema accepts a value.
    pub(super) fn accepts(&mut self, schema: &Value, value: &Value, depth: usize) -> Judged {
        self.pay(1)?;
        if depth > MAX_DEPTH {
            return Err(Stopped::Zero("nested_too_deep"));
        }
        let Value::Object(keywords) = schema else {
            return Ok(schema.as_bool().unwrap_or(false));
        };
        for (keyword, rule) in keywords {
            self.pay(1)?;
            if !self.keyword(keywords, keyword, rule, value, depth + 1)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    pub(super) fn pay(&mut self, steps: usize) -> Result<(), Stopped> {
        self.budget.charge(steps as u64).map_err(|_| Stopped::OVER_BUDGET)
    }

    fn keyword(
        &mut self,
        all: &Map<String, Value>,
        keyword: &str,
        rule: &Value,
        value: &Value,
        depth: usize,
    ) -> Judged {
        match (keyword, value) {
            ("type", _) => {
                self.pay(items(rule).len())?;
                Ok(types(rule).any(|name| is_of(value, name)))
            }
            ("const", _) => equal(rule, value, self.budget),
            ("enum", _) => Ok(self.how_many(items(rule), |this, one| equal(one, value, this.budget), 1)? > 0),
            ("$ref", _) => {
                let pointer = rule.as_str().and_then(|pointer| pointer.strip_prefix('#'));
                let target = pointer.and_then(|pointer| self.schema.root.pointer(pointer));
                target.map_or(Ok(false), |target| self.accepts(target, value, depth))
            }
            ("allOf", _) => {
                let accepted = self.accepting(rule, value, depth, usize::MAX)?;
                Ok(accepted == items(rule).len())
            }
            ("anyOf", _) => Ok(self.accepting(rule, value, depth, 1)? > 0),
            ("oneOf", _) => Ok(self.accepting(rule, value, depth, 2)? == 1),
            ("not", _) => Ok(!self.accepts(rule, value, depth)?),
            ("if", _) => {
                let branch = if self.accepts(rule, value, depth)? {
                    "then"
                } else {
                    "else"
                };
                all.get(branch)
                    .map_or(Ok(true), |branch| self.accepts(branch, value, depth))
            }
            (_, Value::Number(number)) => Ok(number_holds(keyword, rule, number)),
            (_, Value::String(string)) => self.string_holds(keyword, rule, string),
            (_, Value::Array(array)) => self.array_holds(all, keyword, rule, array, depth),
            (_, Value::Object(object)) => self.object_holds(all, keyword, rule, object, depth),
            (_, Value::Null | Value::Bool(_)) => Ok(true),
        }
    }

    /// How many schemas of a list accept a value; no more than `enough` are looked for.
    fn accepting(&mut self, schemas: &Value, value: &Value, depth: usize, enough: usize) -> Result<usize, Stopped> {
        self.how_many(
            items(schemas),
            |this, schema| this.accepts(schema, value, depth),
            enough,
        )
    }

    /// For how many values something holds; no more than `enough` are looked for.
    pub(super) fn how_many(
        &mut self,
        values: &[Value],
        mut holds: impl FnMut(&mut Self, &Value) -> Judged,
        enough: usize,
    ) -> Result<usize, Stopped> {
        let mut count = 0;
        for value in values {
            count += usize::from(holds(self, value)?);
            if count == enough {
                break;
            }
        }
        Ok(count)
    }

    fn string_holds(&mut self, keyword: &str, rule: &Value, string: &str) -> Judged {
        match (keyword, rule) {
            ("minLength" | "maxLength", Value::Number(_)) => {
                self.pay(string.len() / BYTES_PER_STEP)?;
                let length = string.chars().count() as u64;
                let bound = rule.as_u64().unwrap_or_default();
                Ok(if keyword == "minLength" {
                    length >= bound
                } else {
                    length <= bound
                })
            }
            ("pattern", Value::String(pattern)) => self.matches(pattern, string),
            _ => Ok(true),
        }
    }

    pub(super) fn matches(&mut self, pattern: &str, text: &str) -> Judged {
        let compiled: Option<&Pattern> = self.schema.patterns.get(pattern);
        compiled.map_or(Ok(false), |pattern| pattern.matches(text, self.budget))
    }
}

/// The items of a list; nothing of anything else.
pub(super) fn items(list: &Value) -> &[Value] {
    list.as_array().map_or(&[], Vec::as_slice)
}

/// The names in a list, or the one name that stands in place of it.
fn types(rule: &Value) -> impl Iterator<Item = &str> {
    items(rule).iter().chain(Some(rule)).filter_map(Value::as_str)
}

fn is_of(value: &Value, name: &str) -> bool {
    match value {
        Value::Null => name == "null",
        Value::Bool(_) => name == "boolean",
        Value::String(_) => name == "string",
        Value::Array(_) => name == "array",
        Value::Object(_) => name == "object",
        Value::Number(number) => name == "number" || (name == "integer" && is_whole(number)),
    }
}

fn number_holds(keyword: &str, rule: &Value, number: &serde_json::Number) -> bool {
    let Value::Number(bound) = rule else {
        return true;
    };
    let order = compare(number, bound);
    match keyword {
        "minimum" => order != Ordering::Less,
        "maximum" => order != Ordering::Greater,
        "exclusiveMinimum" => order == Ordering::Greater,
        "exclusiveMaximum" => order == Ordering::Less,
        "multipleOf" => rule.as_u64().is_none_or(|of| is_multiple(number, of)),
        _ => true,
    }
}
