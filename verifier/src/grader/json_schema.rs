//! `json_schema`: JSON that a schema accepts.

use serde_json::Value;

use super::{Case, Grader, Scored, Stopped, within, worth};
use crate::schema::Schema;
use crate::spec::template::Template;

#[derive(Debug)]
pub(crate) struct JsonSchema {
    pub(crate) input: Template,
    pub(crate) schema: Schema,
}

impl Grader for JsonSchema {
    fn grade(&self, case: &Case<'_>) -> Scored {
        within(case, |budget| {
            let input = self.input.resolve(case, budget)?;
            let value: Value = serde_json::from_str(&input).map_err(|_| Stopped::Zero("not_json"))?;
            Ok((worth(self.schema.accepts(&value, budget)?), "json_schema"))
        })
    }
}
