//! Grades one answer: extraction, reading of both sides, comparison, and the verdict with the rule that decided.

use crate::algebra::evaluate::{Value, evaluate};
use crate::budget::{Budget, Stop};
use crate::compare::{as_words, same};
use crate::text::extract::{Found, find, last_boxed};
use crate::text::lexer::{Token, tokens};
use crate::text::parser::parse;
use crate::text::words;
use crate::{Grade, MathOptions, Verdict};

/// Longest answer that is read, in bytes.
const MAX_ANSWER: usize = 1 << 16;
/// Bytes of a response that are scanned for one step.
const BYTES_PER_STEP: usize = 64;

/// An answer as read: its tokens, where it could be cut into any, and its value.
struct Read {
    tokens: Option<Vec<Token>>,
    value: Result<Value, Stop>,
}

/// Grades a model's `prediction` (the whole response) against the `gold` answer.
#[must_use]
pub fn grade_math(prediction: &str, gold: &str, options: &MathOptions) -> Grade {
    let mut budget = Budget::new(options.max_steps);
    let (verdict, extracted, rule) = decide(prediction, gold, options, &mut budget);
    Grade {
        verdict,
        extracted,
        steps: budget.used(),
        rule: rule.to_owned(),
    }
}

type Decision = (Verdict, Option<String>, &'static str);

fn decide(prediction: &str, gold: &str, options: &MathOptions, budget: &mut Budget) -> Decision {
    let gold = without_line_break(last_boxed(gold).unwrap_or(gold));
    let gold_read = read(gold, budget);
    let gold_value = match gold_read.value {
        Ok(ref value) => value.clone(),
        Err(Stop::OverBudget) => return (Verdict::Infrastructure, None, "gold_over_budget"),
        Err(Stop::Malformed) if is_prose(gold) || opaque(gold_read.tokens.as_deref()) => {
            Value::Words(words::normalise(gold))
        }
        Err(_) => return (Verdict::Infrastructure, None, "gold_unparseable"),
    };
    if budget.charge((prediction.len() / BYTES_PER_STEP) as u64).is_err() {
        return (Verdict::OverBudget, None, "response_too_long");
    }
    let answer = match find(prediction, options.strict) {
        Found::Nothing => return (Verdict::NoAnswer, None, "no_answer"),
        Found::Several => return (Verdict::Wrong, None, "several_boxes"),
        Found::Answer(extracted) => extracted.answer,
    };
    let (verdict, rule) = judge(
        without_line_break(&answer),
        &gold_value,
        gold_read.tokens.as_deref(),
        budget,
    );
    (verdict, Some(shortened(answer)), rule)
}

/// An answer without the `\\\\` of the line that it was cut from.
fn without_line_break(answer: &str) -> &str {
    answer.trim().trim_end_matches('\\').trim_end()
}

/// Reads an answer within the bounds.
fn read(answer: &str, budget: &mut Budget) -> Read {
    if answer.len() > MAX_ANSWER {
        return Read {
            tokens: None,
            value: Err(Stop::OverBudget),
        };
    }
    let cut = match tokens(answer, budget) {
        Ok(cut) => cut,
        Err(stop) => {
            return Read {
                tokens: None,
                value: Err(stop),
            };
        }
    };
    let value = parse(&cut, budget).and_then(|expr| evaluate(&expr, budget));
    Read {
        tokens: Some(cut),
        value,
    }
}

fn judge(answer: &str, gold: &Value, gold_tokens: Option<&[Token]>, budget: &mut Budget) -> (Verdict, &'static str) {
    let letter = as_words(gold).filter(|w| w.len() == 1);
    if letter.is_some_and(|letter| choice(answer).is_some_and(|c| c.eq_ignore_ascii_case(&letter))) {
        return (Verdict::Correct, "choice");
    }
    let answer_read = read(answer, budget);
    let identical = gold_tokens.is_some_and(|g| !g.is_empty() && answer_read.tokens.as_deref() == Some(g));
    let value = match answer_read.value {
        Err(Stop::OverBudget) => return (Verdict::OverBudget, "answer_over_budget"),
        _ if identical => return (Verdict::Correct, "identical"),
        Err(Stop::Undefined) => return (Verdict::Wrong, "undefined"),
        Err(Stop::Malformed) if is_prose(answer) => Value::Words(words::normalise(answer)),
        Err(Stop::Malformed) => return (Verdict::Unparseable, "answer_unparseable"),
        Ok(value) => value,
    };
    match same(gold, &value, budget) {
        Ok(true) => (Verdict::Correct, "equal"),
        Ok(false) if matches!(gold, Value::Words(words) if *words == bare_words(answer)) => (Verdict::Correct, "words"),
        Ok(false) if same_in_lower_case(gold_tokens, answer_read.tokens.as_deref(), budget) => {
            (Verdict::Correct, "equal_in_lower_case")
        }
        Ok(false) => (Verdict::Wrong, "different"),
        Err(Stop::OverBudget) => (Verdict::OverBudget, "comparison_over_budget"),
        Err(Stop::Malformed | Stop::Undefined) => (Verdict::Wrong, "incomparable"),
    }
}

/// Words without mathematics delimiters around them.
fn bare_words(answer: &str) -> String {
    words::normalise(answer.trim_matches(|c: char| c == '$' || c.is_whitespace()))
}

/// Whether both are equal when upper-case variables are read as lower-case ones. Not where one side uses a letter in
/// both cases, and never for E and I, which would turn into constants.
fn same_in_lower_case(gold: Option<&[Token]>, answer: Option<&[Token]>, budget: &mut Budget) -> bool {
    let (Some(gold), Some(answer)) = (gold.and_then(lower_case), answer.and_then(lower_case)) else {
        return false;
    };
    let mut value = |tokens: &[Token]| parse(tokens, budget).and_then(|expr| evaluate(&expr, budget));
    let (Ok(gold), Ok(answer)) = (value(&gold), value(&answer)) else {
        return false;
    };
    same(&gold, &answer, budget).unwrap_or(false)
}

fn lower_case(tokens: &[Token]) -> Option<Vec<Token>> {
    let letters = |upper: bool| {
        tokens.iter().filter_map(move |t| match t {
            Token::Letter(l) if l.len() == 1 && l.chars().all(|c| c.is_uppercase()) == upper => Some(l.to_lowercase()),
            _ => None,
        })
    };
    if letters(true).any(|l| l == "e" || l == "i" || letters(false).any(|other| other == l)) {
        return None;
    }
    Some(
        tokens
            .iter()
            .map(|t| match t {
                Token::Letter(l) if l.len() == 1 => Token::Letter(l.to_lowercase()),
                other => other.clone(),
            })
            .collect(),
    )
}

/// The letter of a choice written as `B`, `(B)`, `B.` or `B) text`.
fn choice(answer: &str) -> Option<&str> {
    let inner = answer.trim().trim_start_matches(['(', '*', '$']);
    let letter = inner.get(..1).filter(|l| l.chars().all(|c| c.is_ascii_alphabetic()))?;
    let rest = inner[1..].trim_start_matches(['*', '$']);
    let closed = rest.is_empty() || (rest.starts_with([')', '.', ':']) && !crate::text::extract::hedges(rest));
    closed.then_some(letter)
}

/// Whether an answer is words rather than broken mathematics.
fn is_prose(answer: &str) -> bool {
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

/// Whether a gold that is no known expression can still be compared by its tokens: well-formed, with a command.
fn opaque(tokens: Option<&[Token]>) -> bool {
    let Some(tokens) = tokens else { return false };
    let mut open = 0i64;
    for token in tokens {
        open += match token {
            Token::Symbol('{') => 1,
            Token::Symbol('}') => -1,
            _ => 0,
        };
        if open < 0 {
            return false;
        }
    }
    open == 0
        && tokens
            .iter()
            .any(|t| matches!(t, Token::Command(_) | Token::Words(_) | Token::Begin(_)))
}

/// An answer of bounded length for the record.
fn shortened(mut answer: String) -> String {
    const KEPT: usize = 512;
    if answer.len() > KEPT {
        let end = (0..=KEPT).rev().find(|&at| answer.is_char_boundary(at)).unwrap_or(0);
        answer.truncate(end);
        answer.push('…');
    }
    answer
}
