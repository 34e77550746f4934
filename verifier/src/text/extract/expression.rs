//! Answers that nothing announces: a short response as a whole, the last formula, the last number.

use crate::text::numbers::last_number_run;

/// Longest response that is read as an answer without any announcement, in bytes.
const MAX_WHOLE: usize = 200;

/// Opening and closing delimiters of formulas.
pub(super) const DELIMITERS: [(&str, &str); 4] = [("$$", "$$"), ("$", "$"), ("\\(", "\\)"), ("\\[", "\\]")];

/// Where an unescaped closing delimiter stands.
pub(super) fn close_of(inner: &str, close: &str) -> Option<usize> {
    inner
        .match_indices(close)
        .map(|(at, _)| at)
        .find(|&at| close != "$" || !inner[..at].ends_with('\\'))
}

/// A short response without prose is its own answer.
pub(super) fn whole(text: &str) -> Option<(&str, &'static str)> {
    let trimmed = text.trim().trim_matches('*');
    (!trimmed.is_empty() && trimmed.len() <= MAX_WHOLE && !has_prose(trimmed)).then_some((trimmed, "whole"))
}

/// Whether two words stand in a row outside of commands.
pub(crate) fn has_prose(text: &str) -> bool {
    let mut words = 0;
    for word in text.split(|c: char| c.is_whitespace() || matches!(c, '$' | ',' | '.' | ':')) {
        let plain = word.len() > 1 && word.chars().all(|c| c.is_alphabetic() || c == '\'');
        if plain && !matches!(word.to_ascii_lowercase().as_str(), "or" | "and") {
            words += 1;
        }
    }
    words >= 2
}

/// The last formula or number, whichever stands later.
pub(super) fn last_expression(text: &str) -> Option<(&str, &'static str)> {
    let number = last_number_run(text);
    let formula = last_formula(text);
    match (number, formula) {
        (Some(number), Some((start, end))) if number.1 > end + 1 && number.0 >= start => {
            Some((&text[number.0..number.1], "number"))
        }
        (_, Some((start, end))) => Some((&text[start..end], "mathematics")),
        (number, None) => match (bare_formula(text), number) {
            (Some((start, end)), number) if number.is_none_or(|(_, last)| last <= end) => {
                Some((&text[start..end], "mathematics"))
            }
            (_, Some((start, end))) => Some((&text[start..end], "number")),
            _ => None,
        },
    }
}

/// The span of the content of the last formula, in one pass.
fn last_formula(text: &str) -> Option<(usize, usize)> {
    let (mut last, mut at) = (None, 0);
    // A delimiter that was opened and never closed cannot be closed later either.
    let mut unclosed = [false; DELIMITERS.len()];
    while let Some(offset) = text[at..].find(['$', '\\']) {
        at += offset;
        let opened = DELIMITERS.iter().position(|(open, _)| text[at..].starts_with(open));
        let Some(kind) = opened.filter(|&kind| !unclosed[kind]) else {
            at += 1;
            continue;
        };
        let (open, close) = DELIMITERS[kind];
        let start = at + open.len();
        match close_of(&text[start..], close) {
            Some(length) => {
                if !text[start..start + length].trim().is_empty() {
                    last = Some((start, start + length));
                }
                at = start + length + close.len();
            }
            None => {
                unclosed[kind] = true;
                at += 1;
            }
        }
    }
    last
}

/// The last formula without delimiters: the words around the last LaTeX command that are no prose.
fn bare_formula(text: &str) -> Option<(usize, usize)> {
    let at = text
        .rfind('\\')
        .filter(|&at| text[at + 1..].starts_with(|c: char| c.is_ascii_alphabetic()))?;
    let is_prose = |word: &str| word.chars().filter(|c| c.is_alphabetic()).count() > 1 && !word.contains('\\');
    let mut start = at;
    for (index, _) in text[..at].rmatch_indices(char::is_whitespace).chain([(0, "")]) {
        let word = text[index..start].trim();
        if is_prose(word) {
            break;
        }
        start = index;
        if text[index..].starts_with('\n') {
            break;
        }
    }
    let mut end = at;
    for word in text[at..].split_inclusive(char::is_whitespace) {
        if is_prose(word) {
            break;
        }
        end += word.len();
    }
    (start < end).then_some((start, end))
}
