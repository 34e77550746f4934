//! Tests of the whole grader: golden tables and properties on any input.

mod choices;
mod decimals;
mod explanations;
mod extraction;
mod formatting;
mod functions;
mod golden;
mod graders;
mod names;
mod notation;
mod parity;
mod points;
mod properties;
mod readings;
mod real_sets;
mod spellings;
mod units;
mod unread;
mod words;

use crate::{Grade, MathOptions, grade_math};

/// Grades with the defaults.
fn grade(prediction: &str, gold: &str) -> Grade {
    grade_math(prediction, gold, &MathOptions::default())
}

/// Grades the answer in a box.
fn grade_boxed(answer: &str, gold: &str) -> Grade {
    grade(&format!("So we get $\\boxed{{{answer}}}$."), gold)
}
