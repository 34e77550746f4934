//! Which responses give the same answer, told as the mathematics grader tells right from wrong: the first answer of a
//! class plays the gold.

use std::collections::HashMap;

use crate::budget::Budget;
use crate::grade::{judge, without_line_break};
use crate::read::Gold;
use crate::text::extract::{Found, find};
use crate::{MathOptions, Verdict};

/// Sorts answers into classes of equal ones. Telling one answer apart takes at most the steps that grading it may take;
/// beyond them it is the same only as an answer of the same text.
#[derive(Debug)]
pub struct Answers {
    options: MathOptions,
    /// The first answer of each class.
    classes: Vec<String>,
    /// Class by text, the width of blanks aside.
    by_text: HashMap<String, usize>,
}

impl Answers {
    /// No answers yet; responses are read by the options' rules.
    #[must_use]
    pub fn new(options: &MathOptions) -> Self {
        Self {
            options: options.clone(),
            classes: Vec::new(),
            by_text: HashMap::new(),
        }
    }

    /// The class of the answer in a response, counted from 0 in the order in which classes first came; `None` where no
    /// answer is found.
    pub fn class_of(&mut self, response: &str) -> Option<usize> {
        match find(response, self.options.extract, self.options.strict) {
            Found::Answer(found) => Some(self.class_of_answer(&found.answer)),
            Found::Nothing | Found::Several => None,
        }
    }

    /// The class of an answer as it is.
    pub fn class_of_answer(&mut self, answer: &str) -> usize {
        let answer = without_line_break(answer);
        let text = answer.split_whitespace().collect::<Vec<_>>().join(" ");
        if let Some(class) = self.by_text.get(&text) {
            return *class;
        }
        let mut budget = Budget::new(self.options.max_steps);
        let mut classes = self.classes.iter();
        let equal = classes.position(|first| is_same(first, answer, &self.options, &mut budget));
        let class = equal.unwrap_or_else(|| {
            self.classes.push(answer.to_owned());
            self.classes.len() - 1
        });
        self.by_text.insert(text, class);
        class
    }
}

/// Whether the grader would take `answer` for the gold `first`.
fn is_same(first: &str, answer: &str, options: &MathOptions, budget: &mut Budget) -> bool {
    let gold = Gold::read(first, options.units, budget);
    match &gold.value {
        Ok(value) => judge(answer, value, &gold, options, budget).0 == Verdict::Correct,
        Err(_) => gold.is_identical(answer, budget),
    }
}

#[cfg(test)]
mod tests;
