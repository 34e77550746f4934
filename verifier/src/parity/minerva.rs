//! The last layer: the line after the last "Answer:" in the form of the Minerva paper, compared as a string.

/// Words that are dropped.
const DROPPED: &[&str] = &[
    "an ",
    "a ",
    ".$",
    "\\$",
    "\\ ",
    " ",
    "mbox",
    "\\text{s}",
    "\\text{.}",
    "\\text{\ns}",
    "\\text{}^2",
    "\\text{}^3",
    "\\text{\n}",
    "\\text{}",
    "\\mathrm{th}",
    "^\\circ",
    "^{\\circ}",
    "\\;",
    ",\\!",
    "{,}",
    "\"",
    "\\dots",
    "square",
    "ways",
    "integers",
    "dollars",
    "mph",
    "inches",
    "hours",
    "km",
    "units",
    "points",
    "feet",
    "minutes",
    "digits",
    "cents",
    "degrees",
    "cm",
    "gm",
    "pounds",
    "meters",
    "meals",
    "edges",
    "students",
    "childrentickets",
    "multiples",
];

/// Whether the last announced line is the gold, as strings.
pub(super) fn equal(tail: &str, gold: &str) -> bool {
    const MARKER: &str = "answer:";
    let Some(at) = tail.to_ascii_lowercase().rfind(MARKER) else {
        return false;
    };
    let line = tail[at + MARKER.len()..]
        .trim_start()
        .lines()
        .next()
        .unwrap_or_default();
    form(line) == form(gold)
}

fn form(text: &str) -> String {
    let mut text = text.rsplit('=').next().unwrap_or_default().to_owned();
    for word in DROPPED {
        text = text.replace(word, "");
    }
    for command in ["\\text{", "\\textbf{", "\\overline{", "\\boxed{"] {
        if let Some(inner) = text.strip_prefix(command).and_then(|t| t.strip_suffix('}')) {
            text = inner.to_owned();
        }
    }
    let text = text.replace("tfrac", "frac").replace("dfrac", "frac").replace('$', "");
    let digits = text.replace(',', "");
    if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) {
        digits
    } else {
        text
    }
}
