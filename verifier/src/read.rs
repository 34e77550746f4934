//! The two sides of a comparison as read, and what becomes of text that is no mathematics.

use crate::algebra::evaluate::evaluate;
use crate::algebra::value::Value;
use crate::budget::{Budget, Stop};
use crate::options::Units;
use crate::text::choice::set_choice;
use crate::text::lexer::{Commas, Token, tokens};
use crate::text::parser::parse;
use crate::text::words;

/// Longest answer that is read, in bytes.
const MAX_ANSWER: usize = 1 << 16;
/// Commands that leave a text a text.
const TEXT_COMMANDS: &[&str] = &[
    "text",
    "textbf",
    "textit",
    "textrm",
    "textsf",
    "texttt",
    "textnormal",
    "mbox",
    "hbox",
    "mathrm",
    "mathbf",
    "mathit",
    "mathsf",
    "operatorname",
    "emph",
    "quad",
    "qquad",
    "left",
    "right",
    "bf",
    "rm",
    "it",
];

/// An answer as read: its tokens, where it could be cut into any, and its value.
pub(crate) struct Read {
    pub(crate) tokens: Option<Vec<Token>>,
    pub(crate) value: Result<Value, Stop>,
    /// Whether a comma may group digits or separate numbers.
    pub(crate) ambiguous: bool,
}

impl Read {
    /// Reads an answer within the bounds.
    pub(crate) fn new(answer: &str, commas: Commas, units: Units, budget: &mut Budget) -> Self {
        let unread = |stop| Self {
            tokens: None,
            value: Err(stop),
            ambiguous: false,
        };
        if answer.len() > MAX_ANSWER {
            return unread(Stop::OverBudget);
        }
        match tokens(answer, commas, budget) {
            Err(stop) => unread(stop),
            Ok((cut, ambiguous)) => Self {
                value: parse(&cut, budget)
                    .and_then(|expr| evaluate(&expr, budget))
                    .map(|value| {
                        if units == Units::Ignore {
                            value.without_units()
                        } else {
                            value
                        }
                    }),
                tokens: Some(cut),
                ambiguous,
            },
        }
    }
}

/// A gold answer as read. Its value is `Malformed` if only the same text can be told to be equal.
pub(crate) struct Gold<'a> {
    pub(crate) text: &'a str,
    pub(crate) tokens: Option<Vec<Token>>,
    pub(crate) value: Result<Value, Stop>,
    pub(crate) ambiguous: bool,
}

impl<'a> Gold<'a> {
    /// Reads a gold answer: words without mathematics count as words.
    pub(crate) fn read(text: &'a str, units: Units, budget: &mut Budget) -> Self {
        let Read {
            tokens,
            value,
            ambiguous,
        } = Read::new(text, Commas::Group, units, budget);
        let value = match (value, set_choice(text)) {
            (Err(Stop::Malformed), Some(letter)) => Ok(Value::Words(letter.to_lowercase())),
            (Err(Stop::Malformed), None) if is_prose(text) && only_text_commands(text) => {
                Ok(Value::Words(words::normalise(text)))
            }
            (other, _) => other,
        };
        Self {
            text,
            tokens,
            value,
            ambiguous,
        }
    }

    /// Whether an answer has the same tokens, whatever blanks stand between them.
    pub(crate) fn has_tokens(&self, answer: Option<&[Token]>) -> bool {
        self.tokens.as_deref().zip(answer).is_some_and(|(own, other)| {
            !own.is_empty() && own.len() == other.len() && own.iter().zip(other).all(|(a, b)| a.same_text(b))
        })
    }

    /// Whether an answer is the same text, as tokens where it can be cut into tokens.
    pub(crate) fn is_identical(&self, answer: &str, budget: &mut Budget) -> bool {
        let text = words::normalise(self.text);
        (!text.is_empty() && text == bare_words(answer))
            || self.has_tokens(
                Read::new(answer, Commas::Group, Units::Compare, budget)
                    .tokens
                    .as_deref(),
            )
    }
}

/// Words without mathematics delimiters around them.
pub(crate) fn bare_words(answer: &str) -> String {
    words::normalise(answer.trim_matches(|c: char| c == '$' || c.is_whitespace()))
}

/// Whether an answer is words rather than broken mathematics.
pub(crate) fn is_prose(answer: &str) -> bool {
    let mut run = 0;
    let mut in_command = false;
    for c in answer.chars() {
        in_command = c == '\\' || (in_command && c.is_ascii_alphabetic());
        run = if c.is_alphabetic() && !in_command { run + 1 } else { 0 };
        if run >= 2 {
            return true;
        }
    }
    false
}

/// Whether every command of a text only sets words and its braces close: no mathematics that the grader failed to read.
fn only_text_commands(text: &str) -> bool {
    text.matches('{').count() == text.matches('}').count()
        && text.split('\\').skip(1).all(|rest| {
            let end = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
            end == 0 || TEXT_COMMANDS.contains(&&rest[..end])
        })
}
