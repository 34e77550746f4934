//! Answers that a sentence announces: "the answer is", "Answer:" and the like, in several languages.

use super::boxed::only_separators;
use super::expression::{DELIMITERS, has_prose};

/// What stands before an answer, in lower case.
const MARKERS: &[&str] = &[
    "answer is",
    "answers are",
    "answer:",
    "answer :",
    "answer**",
    "answer=",
    "option is",
    "choice is",
    "答案",
    "答え",
    "정답",
    "réponse est",
    "réponse:",
    "réponse :",
    "antwort ist",
    "antwort:",
    "antwort lautet",
    "respuesta es",
    "respuesta:",
    "resposta é",
    "resposta:",
    "risposta è",
    "risposta:",
    "ответ:",
    "ответ —",
];

/// What announces that an answer just given is taken back.
const CORRECTIONS: &[&str] = &[
    "no wait",
    "no, wait",
    "wait,",
    "wait:",
    "correction:",
    "scratch that",
    "i mean ",
    "sorry,",
    "oops",
    "rather,",
    "actually,",
    "actually it",
    "actually the",
];

/// The clause after the last announcement, and what corrects it, if anything does.
pub(super) fn announced(text: &str) -> Option<(&str, &'static str)> {
    let lower = lower_case(text);
    let start = MARKERS
        .iter()
        .filter_map(|m| lower.rfind(m).map(|at| at + m.len()))
        .max()?;
    let rest = after_marker(&text[start..]);
    if let Some(corrected) = correction(rest) {
        return Some((corrected, "corrected"));
    }
    Some((clause(rest), "announced"))
}

/// "The final answer is": it counts even after a box.
pub(super) fn final_answer(text: &str) -> Option<(&str, &'static str)> {
    const MARKER: &str = "final answer is";
    let start = lower_case(text).rfind(MARKER)? + MARKER.len();
    let clause = clause(after_marker(&text[start..]));
    clause
        .contains(|c: char| c.is_ascii_digit() || c == '\\')
        .then_some((clause, "final"))
}

/// Lower case where it keeps the length of every character, so that places stay the same.
fn lower_case(text: &str) -> String {
    text.chars()
        .map(|c| {
            let mut lower = c.to_lowercase();
            match (lower.next(), lower.next()) {
                (Some(one), None) if one.len_utf8() == c.len_utf8() => one,
                _ => c,
            }
        })
        .collect()
}

fn after_marker(rest: &str) -> &str {
    let skipped = |c: char| c.is_whitespace() || matches!(c, ':' | '：' | '*' | '=' | '是' | '为' | '"' | '“');
    let trimmed = rest.trim_start_matches(skipped);
    trimmed.strip_prefix("\\\"").unwrap_or(trimmed)
}

/// The value in the text after the last correction, if it holds one.
fn correction(rest: &str) -> Option<&str> {
    let lower = lower_case(rest);
    let at = CORRECTIONS
        .iter()
        .filter_map(|c| lower.rfind(c).map(|at| at + c.len()))
        .max()?;
    let text = &rest[at..];
    let clause =
        clause(text.trim_start_matches(|c: char| c.is_whitespace() || matches!(c, ',' | ':' | '.' | '-' | '—')));
    let clause = ["it is ", "it's ", "the answer is ", "should be ", "it should be "]
        .iter()
        .find_map(|intro| clause.strip_prefix(intro))
        .unwrap_or(clause);
    clause
        .contains(|c: char| c.is_ascii_digit() || c == '\\')
        .then_some(clause)
}

/// Formulas listed at the start of `rest`, else its first sentence without a trailing remark in parentheses.
fn clause(rest: &str) -> &str {
    let mut end = 0;
    while let Some((_, after)) = formula(&rest[end..]) {
        end += after;
        let gap = rest[end..].find(['$', '\\']).unwrap_or(0);
        if gap == 0 || !only_separators(&rest[end..end + gap]) || formula(&rest[end + gap..]).is_none() {
            break;
        }
        end += gap;
    }
    if end > 0 {
        return &rest[..end];
    }
    let line = rest.lines().next().unwrap_or_default();
    let sentence = [". ", "。"]
        .iter()
        .filter_map(|stop| line.find(stop))
        .min()
        .map_or(line, |at| &line[..at]);
    let sentence = match sentence.rfind(" is ").filter(|_| has_prose(sentence)) {
        Some(at) => &sentence[at + " is ".len()..],
        None => sentence,
    };
    let remark = sentence.find(" (").filter(|&at| {
        at > 0 && sentence[at..].chars().filter(char::is_ascii_alphabetic).count() > 3 && !sentence[at..].contains('\\')
    });
    remark.map_or(sentence, |at| &sentence[..at]).trim_matches(is_ideograph)
}

/// Characters of writing without spaces: around a formula they are its sentence.
fn is_ideograph(c: char) -> bool {
    c.is_whitespace()
        || matches!(c, '\u{3000}'..='\u{30ff}' | '\u{4e00}'..='\u{9fff}' | '\u{ac00}'..='\u{d7a3}' | '\u{ff0c}' | '：')
}

/// A formula in dollar signs, `\(…\)` or `\[…\]` at the start of the text: its content and where it ends.
fn formula(text: &str) -> Option<(&str, usize)> {
    let (open, close) = DELIMITERS.into_iter().find(|(open, _)| text.starts_with(open))?;
    let inner = &text[open.len()..];
    let length = super::expression::close_of(inner, close)?;
    Some((&inner[..length], open.len() + length + close.len()))
}
