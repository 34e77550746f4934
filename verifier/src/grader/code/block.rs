//! The program in a response: fenced blocks of Markdown.

/// Languages by which a block says that it is Python.
const PYTHON: &[&str] = &["python", "py", "python3"];

/// The last block marked as Python; where there is none, the last one without a language. A block that is not closed
/// reaches to the end of the text.
pub(crate) fn last(text: &str) -> Option<&str> {
    let (mut marked, mut unmarked) = (None, None);
    let mut open: Option<(usize, &str, usize)> = None;
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let (start, trimmed) = (at, line.trim());
        at += line.len();
        let ticks = trimmed.bytes().take_while(|byte| *byte == b'`').count();
        match open {
            Some((fence, language, from)) if ticks >= fence && ticks == trimmed.len() => {
                keep(&mut marked, &mut unmarked, language, &text[from..start]);
                open = None;
            }
            // A line such as "```x```" is text.
            None if ticks >= 3 && !trimmed[ticks..].contains('`') => {
                let language = trimmed[ticks..].split_whitespace().next().unwrap_or_default();
                open = Some((ticks, language, at));
            }
            Some(_) | None => {}
        }
    }
    if let Some((_, language, from)) = open {
        keep(&mut marked, &mut unmarked, language, &text[from..]);
    }
    marked.or(unmarked)
}

fn keep<'a>(marked: &mut Option<&'a str>, unmarked: &mut Option<&'a str>, language: &str, block: &'a str) {
    if PYTHON.iter().any(|name| language.eq_ignore_ascii_case(name)) {
        *marked = Some(block);
    } else if language.is_empty() {
        *unmarked = Some(block);
    }
}
