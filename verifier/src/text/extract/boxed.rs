//! Answers in boxes.

use super::{Extracted, Found};
use crate::text::boxes::{BoxSpan, boxes};

/// Longest text between two boxes that may be parts of one answer.
const MAX_GAP: usize = 80;

/// The last box, joined with those directly before it when only "or", "and" or punctuation stands between.
pub(super) fn from_boxes(text: &str, spans: &[BoxSpan], strict: bool) -> Found {
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
pub(super) fn only_separators(between: &str) -> bool {
    between.len() <= 40
        && between
            .split(|c: char| !c.is_alphanumeric())
            .all(|word| matches!(word.to_ascii_lowercase().as_str(), "" | "or" | "and" | "text" | "quad"))
        && !between.contains(['.', '\n', '='])
}

/// The boxes at the end of a text that one sentence holds, as a list, if there are at least two of them. They may be
/// the parts of an answer with several: `\boxed{3} for (a) and \boxed{1}`.
pub(crate) fn parts_in_boxes(text: &str) -> Option<Vec<&str>> {
    let spans = boxes(text);
    let mut parts = Vec::new();
    let mut next: Option<&BoxSpan> = None;
    for span in spans.iter().rev() {
        if next.is_some_and(|next| !same_sentence(&text[span.end..next.start])) {
            break;
        }
        parts.push(text[span.inner_start..span.inner_end].trim());
        next = Some(span);
    }
    parts.retain(|p| !p.is_empty());
    parts.dedup();
    parts.reverse();
    (parts.len() > 1).then_some(parts)
}

/// Whether text between two boxes neither ends a sentence nor takes the first box back.
fn same_sentence(between: &str) -> bool {
    let word = |w: &str| {
        let lower = w.trim_matches(|c: char| !c.is_alphabetic()).to_lowercase();
        matches!(
            lower.as_str(),
            "or" | "not" | "no" | "wait" | "but" | "actually" | "instead" | "thus" | "so"
        )
    };
    between.len() <= MAX_GAP
        && !between.contains([';', '?', '!'])
        && !between.contains("\n\n")
        && !between.contains(". ")
        && !between.split_whitespace().any(word)
}
