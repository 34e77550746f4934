//! Which extracted texts count as synthetic problems.

use std::collections::HashSet;

use svs_verifier::{MathOptions, Verdict, grade_math, last_boxed};

use super::{RejectReason, SvsConfig};

/// Judges the texts of one iteration in order; remembers what it has accepted.
#[derive(Debug)]
pub struct ProblemFilter<'a> {
    config: &'a SvsConfig,
    seen: HashSet<String>,
}

impl<'a> ProblemFilter<'a> {
    /// A filter that has seen nothing.
    #[must_use]
    pub fn new(config: &'a SvsConfig) -> Self {
        Self {
            config,
            seen: HashSet::new(),
        }
    }

    /// Judges `problem`, written from a solution of `seed_question` whose reference answer is `gold`.
    ///
    /// # Errors
    /// [`RejectReason::Leak`], [`RejectReason::Copy`] or [`RejectReason::Duplicate`].
    pub fn check(&mut self, problem: &str, seed_question: &str, gold: &str) -> Result<(), RejectReason> {
        if self.config.reject_leaks && leaks(problem, gold) {
            return Err(RejectReason::Leak);
        }
        let normal = normalise(problem);
        if self.config.reject_copies && normal == normalise(seed_question) {
            return Err(RejectReason::Copy);
        }
        if !self.seen.insert(normal) && self.config.reject_duplicates {
            return Err(RejectReason::Duplicate);
        }
        Ok(())
    }
}

/// Whether some `\boxed{}` in `problem` holds the answer `gold`.
fn leaks(problem: &str, gold: &str) -> bool {
    let mut rest = problem;
    while let Some(at) = rest.rfind("\\boxed") {
        if let Some(content) = last_boxed(&rest[at..])
            && (content.trim() == gold.trim() || is_equal(content, gold))
        {
            return true;
        }
        rest = &rest[..at];
    }
    false
}

fn is_equal(content: &str, gold: &str) -> bool {
    let boxed = format!("\\boxed{{{content}}}");
    grade_math(&boxed, gold, &MathOptions::default()).verdict == Verdict::Correct
}

/// Lower-case words, numbers and operation signs, one space between them: what changes the problem stays, layout goes.
#[must_use]
pub fn normalise(text: &str) -> String {
    let mut words: Vec<String> = vec![String::new()];
    let mut characters = text.chars().peekable();
    let mut previous = ' ';
    while let Some(c) = characters.next() {
        let inside_number = previous.is_ascii_digit() && characters.peek().is_some_and(char::is_ascii_digit);
        let word = words.last_mut().expect("never empty");
        if c.is_alphanumeric() {
            word.extend(c.to_lowercase());
        } else if c == '.' && inside_number {
            word.push(c);
        } else if "+-*/^=<>%".contains(c) {
            words.extend([c.to_string(), String::new()]);
        } else if !(c == ',' && inside_number) {
            words.push(String::new());
        }
        previous = c;
    }
    words.retain(|word| !word.is_empty());
    words.join(" ")
}

#[cfg(test)]
mod tests;
