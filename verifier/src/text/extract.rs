//! Where the answer is in a response: the last box, else an announced answer, else the last expression.

use super::boxes::{BoxSpan, boxes};
use super::numbers::last_number_run;

/// An answer found in a response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extracted {
    /// The answer as written, without its box or announcement.
    pub answer: String,
    /// The rule that found it: `box`, `boxes`, `tag`, `hash`, `announced`, `whole`, `mathematics` or `number`.
    pub rule: &'static str,
}

/// What the search for an answer found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Found {
    Answer(Extracted),
    Nothing,
    /// Strict mode: several boxes with different content.
    Several,
}

/// Longest response that is read as an answer without any announcement, in bytes.
const MAX_WHOLE: usize = 200;

/// Finds the answer in a response by the lenient rules.
#[must_use]
pub fn extract_answer(response: &str) -> Option<Extracted> {
    match find(response, false) {
        Found::Answer(extracted) => Some(extracted),
        Found::Nothing | Found::Several => None,
    }
}

/// Finds the answer after the reasoning; strict mode wants a box, and one distinct content.
pub(crate) fn find(response: &str, strict: bool) -> Found {
    let visible = after_reasoning(response);
    let spans = boxes(visible);
    if !spans.is_empty() {
        return from_boxes(visible, &spans, strict);
    }
    if strict {
        return Found::Nothing;
    }
    let visible = visible.split("<|").next().unwrap_or_default();
    let found = answer_tag(visible)
        .or_else(|| after_hashes(visible))
        .or_else(|| announced(visible))
        .or_else(|| whole(visible))
        .or_else(|| last_expression(visible));
    match found {
        Some((answer, rule)) if !answer.trim().is_empty() => Found::Answer(Extracted {
            answer: answer.trim().to_owned(),
            rule,
        }),
        _ => Found::Nothing,
    }
}

/// The text after the last `</think>`; nothing of reasoning that is still open counts.
fn after_reasoning(text: &str) -> &str {
    let closed = text.rfind("</think>").map_or(text, |at| &text[at + "</think>".len()..]);
    closed.split("<think>").next().unwrap_or_default()
}

/// The last box, joined with those directly before it when only "or", "and" or punctuation stands between.
fn from_boxes(text: &str, spans: &[BoxSpan], strict: bool) -> Found {
    let inner = |b: &BoxSpan| text[b.inner_start..b.inner_end].trim();
    let Some(last) = spans.last() else {
        return Found::Nothing;
    };
    if strict && spans.iter().any(|b| !inner(b).is_empty() && inner(b) != inner(last)) {
        return Found::Several;
    }
    let mut parts = vec![inner(last)];
    if !strict {
        for pair in spans.windows(2).rev() {
            if !only_separators(&text[pair[0].end..pair[1].start]) {
                break;
            }
            parts.push(inner(&pair[0]));
        }
    }
    parts.dedup();
    parts.retain(|p| !p.is_empty());
    parts.reverse();
    match parts.as_slice() {
        [] => Found::Nothing,
        [one] => Found::Answer(Extracted {
            answer: (*one).to_owned(),
            rule: "box",
        }),
        several => Found::Answer(Extracted {
            answer: several.join(", "),
            rule: "boxes",
        }),
    }
}

/// Whether the text between two answers only lists them.
fn only_separators(between: &str) -> bool {
    between.len() <= 40
        && between
            .split(|c: char| !c.is_alphanumeric())
            .all(|word| matches!(word.to_ascii_lowercase().as_str(), "" | "or" | "and" | "text" | "quad"))
        && !between.contains(['.', '\n', '='])
}

fn answer_tag(text: &str) -> Option<(&str, &'static str)> {
    let start = text.rfind("<answer>")? + "<answer>".len();
    let rest = &text[start..];
    Some((&rest[..rest.find("</answer>")?], "tag"))
}

fn after_hashes(text: &str) -> Option<(&str, &'static str)> {
    let rest = &text[text.rfind("####")? + "####".len()..];
    Some((rest.lines().next().unwrap_or_default(), "hash"))
}

/// The clause after the last "answer is", "answer:" or the like.
fn announced(text: &str) -> Option<(&str, &'static str)> {
    let lower = text.to_ascii_lowercase();
    let markers = [
        "answer is",
        "answers are",
        "answer:",
        "answer :",
        "answer**",
        "answer=",
        "option is",
        "choice is",
    ];
    let start = markers
        .iter()
        .filter_map(|m| lower.rfind(m).map(|at| at + m.len()))
        .max()?;
    let rest = text[start..].trim_start_matches(|c: char| c.is_whitespace() || matches!(c, ':' | '*' | '='));
    Some((clause(rest), "announced"))
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
    let sentence = line.find(". ").map_or(line, |at| &line[..at]);
    let sentence = match sentence.rfind(" is ").filter(|_| has_prose(sentence)) {
        Some(at) => &sentence[at + " is ".len()..],
        None => sentence,
    };
    let remark = sentence.find(" (").filter(|&at| {
        at > 0 && sentence[at..].chars().filter(char::is_ascii_alphabetic).count() > 3 && !sentence[at..].contains('\\')
    });
    remark.map_or(sentence, |at| &sentence[..at])
}

/// Opening and closing delimiters of formulas.
const DELIMITERS: [(&str, &str); 4] = [("$$", "$$"), ("$", "$"), ("\\(", "\\)"), ("\\[", "\\]")];

/// A formula in dollar signs, `\(…\)` or `\[…\]` at the start of the text: its content and where it ends.
fn formula(text: &str) -> Option<(&str, usize)> {
    let (open, close) = DELIMITERS.into_iter().find(|(open, _)| text.starts_with(open))?;
    let inner = &text[open.len()..];
    let length = close_of(inner, close)?;
    Some((&inner[..length], open.len() + length + close.len()))
}

/// Where an unescaped closing delimiter stands.
fn close_of(inner: &str, close: &str) -> Option<usize> {
    inner
        .match_indices(close)
        .map(|(at, _)| at)
        .find(|&at| close != "$" || !inner[..at].ends_with('\\'))
}

/// A short response without prose is its own answer.
fn whole(text: &str) -> Option<(&str, &'static str)> {
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
fn last_expression(text: &str) -> Option<(&str, &'static str)> {
    let number = last_number_run(text);
    let formula = last_formula(text);
    match (number, formula) {
        (Some(number), Some((start, end))) if number.1 > end + 1 && number.0 >= start => {
            Some((&text[number.0..number.1], "number"))
        }
        (_, Some((start, end))) => Some((&text[start..end], "mathematics")),
        (Some((start, end)), None) => Some((&text[start..end], "number")),
        (None, None) => None,
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

/// Whether text after a choice letter names a second one or takes it back.
pub(crate) fn hedges(rest: &str) -> bool {
    rest.split(|c: char| !c.is_alphabetic()).any(|w| {
        matches!(w.to_ascii_lowercase().as_str(), "or" | "not" | "either")
            || (w.len() == 1 && !matches!(w, "a" | "x" | "y"))
    })
}
