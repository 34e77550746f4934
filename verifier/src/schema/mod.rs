//! JSON schemas (draft 2020-12): every keyword is checked as the draft says or refused by name, in counted steps.
//!
//! The draft leaves `format` to the implementation, and anchors and `unevaluated…` need the paths of a whole
//! evaluation: these are refused.

mod array;
mod compile;
mod keyword;
mod number;
mod object;
mod validate;

use std::collections::HashMap;

use serde_json::Value;

use crate::budget::Budget;
use crate::grader::Stopped;
use crate::grader::pattern::Pattern;
use validate::Validator;

/// A schema of which every keyword is understood.
#[derive(Debug, Clone)]
pub(crate) struct Schema {
    root: Value,
    patterns: HashMap<String, Pattern>,
}

impl Schema {
    /// Whether the schema accepts a value.
    pub(crate) fn accepts(&self, value: &Value, budget: &mut Budget) -> Result<bool, Stopped> {
        Validator::new(self, budget).accepts(&self.root, value, 0)
    }
}
