//! Why a verdict fell: what was read on both sides, and the rule that decided.

use serde::{Deserialize, Serialize};

use crate::budget::Budget;
use crate::grade::{gold_answer, without_line_break};
use crate::text::lexer::{Commas, tokens};
use crate::text::parser::parse;
use crate::text::show::show;
use crate::{Grade, MathOptions, grade_math};

/// A text and the tree that it was read as.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reading {
    /// The answer as written.
    pub text: String,
    /// Its expression tree as one line, or why there is none.
    pub parse: String,
}

/// A grade with the readings of both sides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    /// The grade.
    pub grade: Grade,
    /// The gold.
    pub gold: Reading,
    /// The answer found, if one was.
    pub answer: Option<Reading>,
}

/// Grades as [`grade_math`] does, and tells how both sides were read.
#[must_use]
pub fn explain_math(prediction: &str, gold: &str, options: &MathOptions) -> Explanation {
    let grade = grade_math(prediction, gold, options);
    let read = |text: &str| Reading {
        text: text.to_owned(),
        parse: parsed(without_line_break(text), options.max_steps),
    };
    Explanation {
        gold: read(&gold_answer(gold)),
        answer: grade.extracted.as_deref().map(read),
        grade,
    }
}

fn parsed(text: &str, max_steps: u64) -> String {
    let mut budget = Budget::new(max_steps);
    let tree = tokens(text, Commas::Group, &mut budget).and_then(|(cut, _)| parse(&cut, &mut budget));
    tree.map_or_else(|stop| format!("not read: {stop}"), |expr| show(&expr))
}
