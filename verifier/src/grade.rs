//! Grades one answer: extraction, reading of both sides, comparison, and the verdict with the rule that decided.

use std::borrow::Cow;

use crate::algebra::value::Value;
use crate::budget::{Budget, Stop};
use crate::compare::{as_words, lacks_unit, same, within};
use crate::read::{Gold, Read, bare_words, is_prose};
use crate::respelled::same_respelled;
use crate::second::second_reading;
use crate::text::boxes::last_boxed;
use crate::text::choice::choice;
use crate::text::extract::{ExtractRules, Extracted, Found, find, has_prose, parts_in_boxes};
use crate::text::lexer::{Commas, Token};
use crate::text::words;
use crate::{Grade, MathOptions, Profile, Units, Verdict, parity};

/// Bytes of a response that are scanned for one step.
const BYTES_PER_STEP: usize = 64;

/// Grades a model's `prediction` (the whole response) against the `gold` answer.
#[must_use]
pub fn grade_math(prediction: &str, gold: &str, options: &MathOptions) -> Grade {
    let mut budget = Budget::new(options.max_steps);
    if options.profile == Profile::SvsParity {
        let (verdict, extracted, rule) = parity::grade(prediction, gold, options, &mut budget);
        return Grade {
            verdict,
            extracted: extracted.map(shortened),
            steps: budget.used(),
            rule: rule.to_owned(),
            found_by: None,
        };
    }
    let (verdict, found, rule) = decide(prediction, gold, options, &mut budget);
    let (extracted, found_by) = found.map(|f| (shortened(f.answer), f.rule.to_owned())).unzip();
    Grade {
        verdict,
        extracted,
        steps: budget.used(),
        rule: rule.to_owned(),
        found_by,
    }
}

type Decision = (Verdict, Option<Extracted>, &'static str);

fn decide(prediction: &str, gold: &str, options: &MathOptions, budget: &mut Budget) -> Decision {
    let gold = gold_answer(gold);
    let gold = Gold::read(without_line_break(&gold), options.units, budget);
    match gold.value {
        Err(Stop::OverBudget) => return (Verdict::Infrastructure, None, "gold_over_budget"),
        Err(Stop::Undefined) => return (Verdict::Infrastructure, None, "gold_unparseable"),
        Ok(_) | Err(Stop::Malformed) => {}
    }
    if budget.charge((prediction.len() / BYTES_PER_STEP) as u64).is_err() {
        return (Verdict::OverBudget, None, "response_too_long");
    }
    let found = find(prediction, options.extract, options.strict);
    let (verdict, rule) = match (&found, &gold.value) {
        (Found::Answer(found), Ok(value)) => {
            let answer = without_line_break(&found.answer);
            match judge(answer, value, &gold, options, budget) {
                first @ (Verdict::Wrong | Verdict::Unparseable, _) => {
                    match second_reading(prediction, found, value, &gold, options, budget) {
                        Some(second) => second,
                        None if value.is_unevaluated() => (Verdict::Infrastructure, "gold_unevaluated"),
                        None => first,
                    }
                }
                first => first,
            }
        }
        (Found::Answer(found), Err(_)) if gold.is_identical(without_line_break(&found.answer), budget) => {
            (Verdict::Correct, "identical")
        }
        (_, Err(_)) => (Verdict::Infrastructure, "gold_unparseable"),
        (Found::Nothing, Ok(_)) => (Verdict::NoAnswer, "no_answer"),
        (Found::Several, Ok(_)) => (Verdict::Wrong, "several_boxes"),
    };
    let found = match found {
        Found::Answer(found) => Some(found),
        Found::Nothing | Found::Several => None,
    };
    (verdict, found, rule)
}

/// The answer in a gold: its box or boxes, what a worked solution announces, else all of it.
pub(crate) fn gold_answer(gold: &str) -> Cow<'_, str> {
    if let Some(parts) = parts_in_boxes(gold) {
        return parts.join(", ").into();
    }
    if let Some(boxed) = last_boxed(gold) {
        return boxed.into();
    }
    if !has_prose(gold) && !gold.contains("####") {
        return gold.into();
    }
    match find(gold, ExtractRules::announcements(), false) {
        Found::Answer(found) if found.answer.contains(|c: char| c.is_ascii_digit() || c == '\\') => found.answer.into(),
        _ => gold.into(),
    }
}

/// An answer without the `\\\\` of the line that it was cut from, and without emphasis or quotes around all of it.
pub(crate) fn without_line_break(answer: &str) -> &str {
    let answer = answer.trim().trim_end_matches('\\').trim_end();
    let inside = |mark: &str| {
        answer
            .strip_prefix(mark)?
            .strip_suffix(mark)
            .filter(|inner| !inner.contains(mark))
    };
    ["**", "`", "\"", "*"]
        .iter()
        .find_map(|mark| inside(mark))
        .unwrap_or(answer)
        .trim()
}

pub(crate) fn judge(
    answer: &str,
    gold_value: &Value,
    gold: &Gold,
    options: &MathOptions,
    budget: &mut Budget,
) -> (Verdict, &'static str) {
    let letter = as_words(gold_value).filter(|w| w.len() == 1);
    if letter.is_some_and(|letter| choice(answer).is_some_and(|c| is_letter(&c, &letter, gold.text))) {
        return (Verdict::Correct, "choice");
    }
    let read = Read::new(answer, Commas::Group, options.units, budget);
    let value = match read.value {
        Err(Stop::OverBudget) => return (Verdict::OverBudget, "answer_over_budget"),
        _ if gold.has_tokens(read.tokens.as_deref()) => return (Verdict::Correct, "identical"),
        Err(Stop::Undefined) => return (Verdict::Wrong, "undefined"),
        Err(Stop::Malformed) if is_prose(answer) => Value::Words(words::normalise(answer)),
        Err(Stop::Malformed) => return (Verdict::Unparseable, "answer_unparseable"),
        Ok(value) => value,
    };
    let equal = match same(gold_value, &value, budget) {
        Ok(true) if budget.take_numeric() => "equal_at_points",
        Ok(true) => "equal",
        Ok(false) => match equal_otherwise(
            answer,
            &value,
            (read.tokens.as_deref(), read.ambiguous),
            (gold, gold_value),
            options,
            budget,
        ) {
            Some(rule) => rule,
            None => return (Verdict::Wrong, "different"),
        },
        Err(Stop::OverBudget) => return (Verdict::OverBudget, "comparison_over_budget"),
        Err(Stop::Malformed | Stop::Undefined) => return (Verdict::Wrong, "incomparable"),
    };
    if options.units == Units::Require && lacks_unit(gold_value, &value) {
        return (Verdict::Wrong, "unit_missing");
    }
    (Verdict::Correct, equal)
}

/// The rule by which values that differ are one answer all the same.
fn equal_otherwise(
    answer: &str,
    value: &Value,
    read: (Option<&[Token]>, bool),
    gold: (&Gold, &Value),
    options: &MathOptions,
    budget: &mut Budget,
) -> Option<&'static str> {
    let ((tokens, ambiguous), (gold, gold_value)) = (read, gold);
    if matches!(gold_value, Value::Words(words) if *words == bare_words(answer)) || is_same_text(gold.text, answer) {
        return Some("words");
    }
    if let Some(rule) = same_respelled(gold.tokens.as_deref(), tokens, budget) {
        return Some(rule);
    }
    if (gold.ambiguous || ambiguous) && same_as_lists(gold.text, answer, options, budget) {
        return Some("equal_as_lists");
    }
    within(gold_value, value, options.tolerance_ppm).then_some("within_tolerance")
}

/// Whether both are the same words, where one side says by a command that they are text.
fn is_same_text(gold: &str, answer: &str) -> bool {
    let set = |text: &str| text.contains("\\text") || text.contains("\\mbox");
    set(gold) != set(answer) && is_prose(answer) && words::bare_text(gold) == words::bare_text(answer)
}

/// Whether both are equal where every comma separates, `1,234` too.
fn same_as_lists(gold: &str, answer: &str, options: &MathOptions, budget: &mut Budget) -> bool {
    let gold = Read::new(gold, Commas::Separate, options.units, budget).value;
    let answer = Read::new(answer, Commas::Separate, options.units, budget).value;
    match (gold, answer) {
        (Ok(gold), Ok(answer)) => same(&gold, &answer, budget).unwrap_or(false),
        _ => false,
    }
}

/// Whether a choice is the gold letter, which is in lower case here. Constants keep their case.
fn is_letter(choice: &str, letter: &str, gold: &str) -> bool {
    choice.eq_ignore_ascii_case(letter) && (!matches!(letter, "e" | "i") || gold.contains(choice))
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
