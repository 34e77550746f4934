//! Letters of multiple choice.

use super::extract::hedges;

/// The letter of a choice written as `B`, `(B)`, `B.`, `B) text` or `\textbf{(B)} text`.
pub(crate) fn choice(answer: &str) -> Option<String> {
    let answer = without_font(answer.trim());
    let inner = answer.trim_start_matches(['(', '*', '$']);
    let letter = inner.get(..1).filter(|l| l.chars().all(|c| c.is_ascii_alphabetic()))?;
    let rest = inner[1..].trim_start_matches(['*', '$']);
    let closed = rest.is_empty() || (rest.starts_with([')', '.', ':']) && !hedges(rest));
    closed.then(|| letter.to_owned())
}

/// The letter of a choice that a font command sets apart from its text.
pub(crate) fn set_choice(answer: &str) -> Option<String> {
    choice(answer).filter(|_| without_font(answer.trim()) != answer.trim())
}

/// The text with the font command that it starts with taken off, if the braces hold no further ones.
fn without_font(text: &str) -> String {
    let fonts = [
        "\\textbf{",
        "\\text{",
        "\\textrm{",
        "\\mathrm{",
        "\\mathbf{",
        "\\textit{",
    ];
    let font = fonts
        .into_iter()
        .find_map(|font| text.strip_prefix(font)?.split_once('}'));
    match font {
        Some((inner, rest)) if !inner.contains('{') => format!("{inner}{rest}"),
        _ => text.to_owned(),
    }
}
