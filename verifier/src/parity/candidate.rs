//! The candidate answer of the first layer: the response, narrowed step by step.

use crate::text::boxes::last_boxed;

/// Everything after the last of each of these is kept.
const BEFORE: &[&str] = &["answer:", "answer is", "answers are"];
/// Everything before the last of each of these is kept.
const AFTER: &[&str] = &["is answer", "is the answer", "are answers", "are the answers"];
/// Everything after the last of each of these is kept, at the end.
const ENDINGS: &[&str] = &[
    "be ", "is ", "are ", "=", ": ", "get ", "be\n", "is\n", "are\n", ":\n", "get\n",
];

pub(super) fn extract(response: &str) -> String {
    if let Some((before, _)) = response.split_once("</answer>") {
        return before
            .split_once("<answer>")
            .map_or(before, |(_, inner)| inner)
            .trim()
            .to_owned();
    }
    let mut text = response;
    for marker in BEFORE {
        if let Some(at) = last(text, marker) {
            text = text[at + marker.len()..].trim();
        }
    }
    for marker in AFTER {
        if let Some(at) = last(text, marker) {
            text = text[..at].trim();
        }
    }
    if let Some(boxed) = last_boxed(text) {
        text = boxed.trim();
    }
    if let Some(at) = text.rfind(". ") {
        text = text[..at].trim();
    }
    for marker in ENDINGS {
        if let Some(at) = last(text, marker) {
            text = text[at + marker.len()..].trim();
        }
    }
    text.to_owned()
}

/// Where a marker in lower case occurs last, in any case.
fn last(text: &str, marker: &str) -> Option<usize> {
    text.to_ascii_lowercase().rfind(marker)
}
