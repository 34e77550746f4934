//! Second readings of an answer that is not the gold as first read: letters of options, parts in several boxes,
//! dates, numbers in words, decimals with a comma.

use crate::algebra::value::Value;
use crate::budget::Budget;
use crate::grade::judge;
use crate::read::Gold;
use crate::text::choice::{choice, chosen, option_of};
use crate::text::date::moment;
use crate::text::extract::{Extracted, after_reasoning, parts_in_boxes};
use crate::text::words::spelled;
use crate::{MathOptions, Verdict};

/// Longest announced sentence, in bytes, that is searched for its number.
const MAX_SENTENCE: usize = 200;
/// Words that make of the number in their sentence another one, or no answer.
const CHANGES_NUMBER: &[&str] = &[
    "not",
    "no",
    "never",
    "cannot",
    "neither",
    "nor",
    "or",
    "and",
    "than",
    "least",
    "most",
    "under",
    "over",
    "above",
    "below",
    "about",
    "around",
    "roughly",
    "approximately",
    "nearly",
    "almost",
    "between",
    "except",
    "if",
    "unless",
    "minus",
    "plus",
    "times",
    "over",
    "per",
    "half",
    "third",
    "quarter",
    "double",
    "twice",
    "triple",
    "dozen",
    "hundred",
    "thousand",
    "million",
    "billion",
    "trillion",
    "percent",
    "negative",
    "square",
    "squared",
    "cubed",
    "root",
    "power",
    "maybe",
    "perhaps",
    "possibly",
    "wrong",
    "incorrect",
    "instead",
];

/// The verdict by another reading, if one of them makes the answer right.
pub(crate) fn second_reading(
    prediction: &str,
    found: &Extracted,
    value: &Value,
    gold: &Gold,
    options: &MathOptions,
    budget: &mut Budget,
) -> Option<(Verdict, &'static str)> {
    let mut equals =
        |answer: &str, gold: &Gold, value: &Value| judge(answer, value, gold, options, budget).0 == Verdict::Correct;
    if is_option_chosen(found, gold) {
        return Some((Verdict::Correct, "choice"));
    }
    let letter = |text: &str| choice(text).and_then(|l| option_text(&l, &options.choices));
    if letter(gold.text).is_some_and(|text| equals_text(&found.answer, text, options)) {
        return Some((Verdict::Correct, "text_of_choice"));
    }
    if letter(&found.answer).is_some_and(|text| equals(text, gold, value)) {
        return Some((Verdict::Correct, "text_of_choice"));
    }
    if !options.strict && found.rule.starts_with("box") {
        let parts = parts_in_boxes(after_reasoning(prediction)).filter(|parts| parts.len() == count(value));
        if parts.is_some_and(|parts| equals(&parts.join(", "), gold, value)) {
            return Some((Verdict::Correct, "parts_in_boxes"));
        }
    }
    if moment(&found.answer)
        .zip(moment(gold.text))
        .is_some_and(|(a, b)| a.same(b))
    {
        return Some((Verdict::Correct, "same_moment"));
    }
    if spelled(&found.answer).is_some_and(|number| equals(&number.to_string(), gold, value)) {
        return Some((Verdict::Correct, "number_in_words"));
    }
    if spelled(gold.text).is_some_and(|number| equals_text(&found.answer, &number.to_string(), options)) {
        return Some((Verdict::Correct, "number_in_words"));
    }
    let in_sentence = only_number(found).filter(|_| is_number(value));
    if in_sentence.is_some_and(|number| equals(number, gold, value)) {
        return Some((Verdict::Correct, "number_in_sentence"));
    }
    match (decimal_comma(&found.answer), decimal_comma(gold.text)) {
        (Some(answer), None) if is_decimal(gold.text) && equals(&answer, gold, value) => {
            Some((Verdict::Correct, "decimal_comma"))
        }
        (None, Some(text)) if is_decimal(&found.answer) && equals_text(&found.answer, &text, options) => {
            Some((Verdict::Correct, "decimal_comma"))
        }
        _ => None,
    }
}

/// The only number in an announced sentence, if no word of it makes it another number or denies it.
fn only_number(found: &Extracted) -> Option<&str> {
    let sentence = found.answer.as_str();
    if !matches!(found.rule, "announced" | "final" | "corrected") || sentence.len() > MAX_SENTENCE {
        return None;
    }
    let plain = |word: &str| {
        let word = word.trim_matches(|c: char| c.is_ascii_punctuation()).to_lowercase();
        !word.contains(['\'', '’']) && !CHANGES_NUMBER.contains(&word.as_str()) && spelled(&word).is_none()
    };
    let start = sentence.find(|c: char| c.is_ascii_digit())?;
    let length = sentence[start..]
        .find(|c: char| !(c.is_ascii_digit() || c == '.'))
        .unwrap_or(sentence.len() - start);
    let number = sentence[start..start + length].trim_end_matches('.');
    let (before, after) = (&sentence[..start], &sentence[start + length..]);
    let bounded = before.ends_with(' ') && (after.is_empty() || after.starts_with([' ', ',', '.']));
    let mathematics = |text: &str| text.contains(|c: char| c.is_ascii_digit() || "+-*/^=<>\\%$".contains(c));
    let words = before.split_whitespace().chain(after.split_whitespace());
    (bounded && !mathematics(before) && !mathematics(after) && words.into_iter().all(plain)).then_some(number)
}

fn is_number(value: &Value) -> bool {
    matches!(value, Value::Scalar(scalar) if scalar.value.as_rational().is_some())
}

/// Whether an answer is another gold, within a budget of its own.
fn equals_text(answer: &str, gold: &str, options: &MathOptions) -> bool {
    let mut budget = Budget::new(options.max_steps / 4);
    let gold = Gold::read(gold, options.units, &mut budget);
    match &gold.value {
        Ok(value) => judge(answer, value, &gold, options, &mut budget).0 == Verdict::Correct,
        Err(_) => gold.is_identical(answer, &mut budget),
    }
}

/// Whether the answer chooses the letter that the gold is or names with its words.
fn is_option_chosen(found: &Extracted, gold: &Gold) -> bool {
    let letter = gold.text.trim().trim_matches(['(', ')', '$']);
    let is_letter = matches!(letter.as_bytes(), [b'A'..=b'J']);
    let announced = matches!(found.rule, "announced" | "corrected");
    if is_letter && announced && chosen(&found.answer).as_deref() == Some(letter) {
        return true;
    }
    choice(&found.answer).is_some_and(|c| option_of(gold.text) == Some(c.as_str()))
}

/// The text of the option with a letter.
fn option_text<'a>(letter: &str, choices: &'a [String]) -> Option<&'a str> {
    let letter = letter.bytes().next()?.to_ascii_uppercase();
    choices.get(usize::from(letter.checked_sub(b'A')?)).map(String::as_str)
}

/// How many parts a value has.
fn count(value: &Value) -> usize {
    match value {
        Value::List(items) | Value::Set(items) | Value::Tuple { items, .. } => items.len(),
        _ => 1,
    }
}

/// `1,22` as `1.22`: one comma between digits, of which those after it are no group of three, or a group after a 0.
fn decimal_comma(text: &str) -> Option<String> {
    let bare = text.trim().trim_matches('$').trim();
    let (whole, decimals) = bare.split_once(',')?;
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let whole_digits = whole.strip_prefix('-').unwrap_or(whole);
    let group = decimals.len() == 3 && whole_digits != "0";
    (digits(whole_digits) && digits(decimals) && !group).then(|| format!("{whole}.{decimals}"))
}

/// Whether a text is one decimal literal.
fn is_decimal(text: &str) -> bool {
    let bare = text.trim().trim_matches('$').trim().trim_start_matches('-');
    bare.contains('.') && bare.bytes().all(|b| b.is_ascii_digit() || b == b'.')
}
