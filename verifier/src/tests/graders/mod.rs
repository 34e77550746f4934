//! Tests of the graders that specifications make.

mod bounds;
mod code;
mod formulas;
mod json_schema;
mod specs;
mod templates;
mod text_similarity;
mod verdicts;

use serde_json::Value;

use crate::spec::GraderSpec;
use crate::{Case, Scored};

/// The score of a response by a grader, both from JSON.
fn score(spec: &Value, response: &str, item: &Value) -> Scored {
    let spec: GraderSpec = serde_json::from_value(spec.clone()).unwrap();
    spec.build().unwrap().grade(&Case::new(response, item))
}

/// Why a specification is refused, by serde or when built.
fn refusal(spec: &Value) -> String {
    match serde_json::from_value::<GraderSpec>(spec.clone()) {
        Err(error) => error.to_string(),
        Ok(spec) => spec.build().unwrap_err().to_string(),
    }
}
