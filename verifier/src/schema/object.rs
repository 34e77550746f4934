//! Keywords on objects.

use serde_json::{Map, Value};

use super::validate::{Judged, Validator, items};

impl Validator<'_, '_> {
    pub(super) fn object_holds(
        &mut self,
        all: &Map<String, Value>,
        keyword: &str,
        rule: &Value,
        object: &Map<String, Value>,
        depth: usize,
    ) -> Judged {
        let size = object.len() as u64;
        let has = |name: &Value| name.as_str().is_some_and(|name| object.contains_key(name));
        match (keyword, rule) {
            ("minProperties", _) => Ok(size >= rule.as_u64().unwrap_or_default()),
            ("maxProperties", _) => Ok(size <= rule.as_u64().unwrap_or_default()),
            ("required", _) => {
                self.pay(items(rule).len())?;
                Ok(items(rule).iter().all(has))
            }
            ("dependentRequired", Value::Object(named)) => {
                self.pay(named.values().map(|names| items(names).len()).sum())?;
                let mut present = named.iter().filter(|(name, _)| object.contains_key(*name));
                Ok(present.all(|(_, names)| items(names).iter().all(has)))
            }
            ("properties", Value::Object(schemas)) => self.each(object, |this, name, value| {
                schemas
                    .get(name)
                    .map_or(Ok(true), |schema| this.accepts(schema, value, depth))
            }),
            ("patternProperties", Value::Object(schemas)) => self.each(object, |this, name, value| {
                this.each(schemas, |this, pattern, schema| {
                    Ok(!this.matches(pattern, name)? || this.accepts(schema, value, depth)?)
                })
            }),
            ("additionalProperties", _) => self.each(object, |this, name, value| {
                Ok(this.is_covered(all, name)? || this.accepts(rule, value, depth)?)
            }),
            ("propertyNames", _) => self.each(object, |this, name, _| {
                this.accepts(rule, &Value::String(name.clone()), depth)
            }),
            _ => Ok(true),
        }
    }

    /// Whether something holds for every entry.
    fn each<'m>(
        &mut self,
        entries: impl IntoIterator<Item = (&'m String, &'m Value)>,
        mut holds: impl FnMut(&mut Self, &String, &Value) -> Judged,
    ) -> Judged {
        for (name, value) in entries {
            self.pay(1)?;
            if !holds(self, name, value)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether `properties` or `patternProperties` judge the value of a name.
    fn is_covered(&mut self, all: &Map<String, Value>, name: &str) -> Judged {
        if all.get("properties").is_some_and(|named| named.get(name).is_some()) {
            return Ok(true);
        }
        let patterns = all.get("patternProperties").and_then(Value::as_object);
        let uncovered = self.each(patterns.into_iter().flatten(), |this, pattern, _| {
            Ok(!this.matches(pattern, name)?)
        })?;
        Ok(!uncovered)
    }
}
