//! Reads a schema once: every keyword known, every pattern compiled, every pointer leading to a schema, no circle of
//! pointers that judges the same value for ever.

use std::collections::HashMap;

use serde_json::Value;

use super::Schema;
use super::keyword::{Holds, holds, is_in_place};
use crate::grader::pattern::Pattern;
use crate::spec::SpecError;

/// Most schemas within a schema, and how deep they may nest.
const MAX_SCHEMAS: usize = 4096;
const MAX_DEPTH: usize = 64;

/// What reading a schema has found.
#[derive(Default)]
struct Reading<'a> {
    /// Schemas still to read, by their pointers.
    open: Vec<(String, &'a Value, usize)>,
    /// Schemas read, by their pointers.
    numbers: HashMap<String, usize>,
    patterns: HashMap<String, Pattern>,
    /// From which schema another one judges the same value.
    in_place: Vec<(String, String)>,
    /// From where pointers lead to which places.
    pointers: Vec<(String, String)>,
}

fn refuse(place: &str, why: impl Into<String>) -> SpecError {
    SpecError::Schema {
        place: place.to_owned(),
        why: why.into(),
    }
}

impl Schema {
    pub(crate) fn compile(root: &Value) -> Result<Self, SpecError> {
        if !root.is_object() && !root.is_boolean() {
            return Err(refuse("", "a schema is an object, true or false"));
        }
        let mut reading = Reading::default();
        reading.open.push((String::new(), root, 0));
        while let Some((place, schema, depth)) = reading.open.pop() {
            if depth > MAX_DEPTH || reading.numbers.len() == MAX_SCHEMAS {
                return Err(refuse(&place, "nested too deep, or too many schemas"));
            }
            reading.numbers.insert(place.clone(), reading.numbers.len());
            for (keyword, value) in schema.as_object().into_iter().flatten() {
                reading.keyword(&place, keyword, value, depth)?;
            }
        }
        if let Some((place, to)) = reading
            .pointers
            .iter()
            .find(|(_, to)| !reading.numbers.contains_key(to))
        {
            return Err(refuse(place, format!("`$ref` leads to no schema at {to:?}")));
        }
        if let Some(place) = reading.circle() {
            return Err(refuse(place, "judges the same value for ever"));
        }
        Ok(Self {
            root: root.clone(),
            patterns: reading.patterns,
        })
    }
}

impl<'a> Reading<'a> {
    fn keyword(&mut self, place: &str, keyword: &str, value: &'a Value, depth: usize) -> Result<(), SpecError> {
        let kind = holds(keyword, value, place.is_empty()).map_err(|why| refuse(place, why))?;
        let at = format!("{place}/{}", escaped(keyword));
        match (kind, value) {
            (Holds::Pattern, Value::String(pattern)) => self.pattern(pattern)?,
            (Holds::Reference, Value::String(pointer)) => {
                let to = pointer
                    .strip_prefix('#')
                    .filter(|to| to.is_empty() || to.starts_with('/'));
                let to = to.ok_or_else(|| refuse(place, "`$ref` stays in the schema: `#/…`"))?;
                self.pointers.push((place.to_owned(), to.to_owned()));
                self.in_place.push((place.to_owned(), to.to_owned()));
            }
            (Holds::Schema, schema) => self.subschema(place, keyword, at, schema, depth),
            (Holds::Schemas, Value::Array(list)) => {
                for (index, schema) in list.iter().enumerate() {
                    self.subschema(place, keyword, format!("{at}/{index}"), schema, depth);
                }
            }
            (Holds::Named | Holds::ByPattern, Value::Object(named)) => {
                for (name, schema) in named {
                    if kind == Holds::ByPattern {
                        self.pattern(name)?;
                    }
                    self.subschema(place, keyword, format!("{at}/{}", escaped(name)), schema, depth);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn pattern(&mut self, pattern: &str) -> Result<(), SpecError> {
        self.patterns.insert(pattern.to_owned(), Pattern::compile(pattern)?);
        Ok(())
    }

    fn subschema(&mut self, place: &str, keyword: &str, at: String, schema: &'a Value, depth: usize) {
        if is_in_place(keyword) {
            self.in_place.push((place.to_owned(), at.clone()));
        }
        self.open.push((at, schema, depth + 1));
    }

    /// A schema that comes back to itself on the same value, if there is one: what is left after taking away, again and
    /// again, the schemas that lead nowhere.
    fn circle(&self) -> Option<&str> {
        let mut out = vec![0usize; self.numbers.len()];
        let mut back: Vec<Vec<usize>> = vec![Vec::new(); self.numbers.len()];
        for (from, to) in &self.in_place {
            let (from, to) = (*self.numbers.get(from)?, *self.numbers.get(to)?);
            out[from] += 1;
            back[to].push(from);
        }
        let mut free: Vec<usize> = (0..out.len()).filter(|at| out[*at] == 0).collect();
        while let Some(at) = free.pop() {
            for from in &back[at] {
                out[*from] -= 1;
                if out[*from] == 0 {
                    free.push(*from);
                }
            }
        }
        let left = self.numbers.iter().filter(|(_, at)| out[**at] > 0);
        left.map(|(place, _)| place.as_str()).min()
    }
}

/// A name as a JSON pointer writes it.
fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}
