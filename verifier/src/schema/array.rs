//! Keywords on arrays.

use serde_json::{Map, Value};

use super::number::equal;
use super::validate::{Judged, Validator, items};

impl Validator<'_, '_> {
    pub(super) fn array_holds(
        &mut self,
        all: &Map<String, Value>,
        keyword: &str,
        rule: &Value,
        array: &[Value],
        depth: usize,
    ) -> Judged {
        let length = array.len() as u64;
        match keyword {
            "minItems" => Ok(length >= rule.as_u64().unwrap_or_default()),
            "maxItems" => Ok(length <= rule.as_u64().unwrap_or_default()),
            "uniqueItems" if rule == true => self.unique(array),
            "prefixItems" => {
                for (schema, item) in items(rule).iter().zip(array) {
                    if !self.accepts(schema, item, depth)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            "items" => {
                let first = all.get("prefixItems").map_or(0, |prefix| items(prefix).len());
                let rest = array.get(first..).unwrap_or_default();
                let accepted = self.how_many(rest, |this, item| this.accepts(rule, item, depth), usize::MAX)?;
                Ok(accepted == rest.len())
            }
            "contains" => {
                let bound = |name: &str| all.get(name).and_then(Value::as_u64);
                let found = self.how_many(array, |this, item| this.accepts(rule, item, depth), usize::MAX)? as u64;
                Ok(found >= bound("minContains").unwrap_or(1) && bound("maxContains").is_none_or(|most| found <= most))
            }
            _ => Ok(true),
        }
    }

    fn unique(&mut self, array: &[Value]) -> Judged {
        for (at, item) in array.iter().enumerate() {
            for earlier in &array[..at] {
                if equal(item, earlier, self.budget)? {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }
}
