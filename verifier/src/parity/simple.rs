//! The first layer: string forms, then items of a tuple one by one, numbers and short formulas by value.

use super::normal;
use crate::Units;
use crate::algebra::value::Value;
use crate::budget::Budget;
use crate::read::Read;
use crate::text::lexer::Commas;

/// Unit words that are dropped, with a plural and a power.
const UNITS: &[&str] = &[
    "degree",
    "cm",
    "centimeter",
    "meter",
    "mile",
    "second",
    "minute",
    "hour",
    "day",
    "week",
    "month",
    "year",
    "foot",
    "feet",
    "inch",
    "yard",
    "liter",
];

/// Whether the first layer accepts.
pub(super) fn equal(candidate: &str, gold: &str, budget: &mut Budget) -> bool {
    if normal::form(candidate) == normal::form(gold) {
        return true;
    }
    let (candidate, gold) = (normalised(candidate), normalised(gold));
    if candidate == gold {
        return true;
    }
    if candidate.is_empty() {
        return false;
    }
    let (own, wanted) = (items(&candidate), items(&gold));
    let brackets = |text: &str| (text.chars().next(), text.chars().next_back());
    if own.len() != wanted.len() || (wanted.len() > 1 && brackets(&candidate) != brackets(&gold)) {
        return false;
    }
    own.iter().zip(&wanted).all(|(a, b)| same_item(a, b, budget))
}

/// The string form of the PRM800K scorer.
fn normalised(text: &str) -> String {
    let mut text = text.trim();
    if let Some(inner) = text
        .strip_prefix("\\text{")
        .and_then(|t| t.strip_suffix('}'))
        .filter(|t| !t.contains('}'))
    {
        text = inner;
    }
    let mut text = text
        .replace(['$', '%'], "")
        .replace("\\", "\u{1}")
        .replace("\u{1}!", "")
        .replace('\u{1}', "\\")
        .replace(" or ", " , ")
        .replace(" and ", " , ");
    for (word, zeros) in [("million", 6), ("billion", 9), ("trillion", 12)] {
        text = text.replace(word, &format!("*10^{zeros}"));
    }
    for unit in UNITS {
        for plural in [format!("{unit}es"), format!("{unit}s"), (*unit).to_owned()] {
            text = without_word(&text, &plural);
        }
    }
    text = text.replace("^\\circ", "").replace("^{\\circ}", "");
    if let Some(inner) = text.trim().strip_prefix('{').and_then(|t| t.strip_suffix('}')) {
        text = inner.to_owned();
    }
    let text = text.replace("- ", "-").replace(' ', "").to_lowercase();
    let plain = text.replace(',', "");
    let groups = text.split(',').enumerate().all(|(i, part)| {
        part.bytes().all(|b| b.is_ascii_digit())
            && if i == 0 {
                (1..=3).contains(&part.len())
            } else {
                part.len() == 3
            }
    });
    let text = if groups && text.contains(',') { plain } else { text };
    text.strip_suffix(".0").map(str::to_owned).unwrap_or(text)
}

/// A text without a word that no letter touches, and without a power after it.
fn without_word(text: &str, word: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(word) {
        let end = at + word.len();
        let touched = rest[..at].ends_with(|c: char| c.is_alphabetic() || c == '\\')
            || rest[end..].starts_with(|c: char| c.is_alphabetic());
        out.push_str(&rest[..at]);
        rest = &rest[end..];
        if touched {
            out.push_str(word);
        } else if let Some(power) = rest.strip_prefix('^') {
            rest = power.trim_start_matches(|c: char| c.is_ascii_digit());
        }
    }
    out + rest
}

/// The items of a tuple in outer brackets without inner ones, else the text itself.
fn items(text: &str) -> Vec<String> {
    let bare = text.replace("\\left", "").replace("\\right", "");
    let inner = bare
        .strip_prefix(['(', '['])
        .and_then(|t| t.strip_suffix([')', ']']))
        .filter(|t| !t.contains(['(', ')', '[', ']']));
    match inner {
        Some(inner) => inner.split(',').map(|item| item.trim().to_owned()).collect(),
        None => vec![text.to_owned()],
    }
}

/// One item against another: fractions of literals as written, an integer only by an integer, the rest by value.
fn same_item(a: &str, b: &str, budget: &mut Budget) -> bool {
    let integer = |text: &str| {
        let digits = text.strip_prefix('-').unwrap_or(text);
        !digits.is_empty() && digits.bytes().all(|c| c.is_ascii_digit())
    };
    let fraction = |text: &str| text.split_once('/').is_some_and(|(p, q)| integer(p) && integer(q));
    if a == b {
        return true;
    }
    if fraction(a) && fraction(b) {
        return false;
    }
    if integer(a) != integer(b) || !is_short(a) || !is_short(b) {
        return integer(a) && integer(b) && a.trim_start_matches('0') == b.trim_start_matches('0');
    }
    let mut value = |text: &str| Read::new(text, Commas::Group, Units::Ignore, budget).value;
    match (value(a), value(b)) {
        (Ok(Value::Scalar(a)), Ok(Value::Scalar(b))) => a.value.equals(&b.value, budget).unwrap_or(false),
        _ => false,
    }
}

/// What that scorer still handed to symbolic mathematics.
fn is_short(text: &str) -> bool {
    let mut letters: Vec<char> = crate::text::words::bare_text(text)
        .chars()
        .filter(|c| c.is_alphabetic())
        .collect();
    letters.sort_unstable();
    letters.dedup();
    letters.len() <= 2 && !text.contains("^{") && !text.contains("^(")
}
