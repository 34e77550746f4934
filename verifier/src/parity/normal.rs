//! The string form that the MATH data set's own scorer compares.

/// The form of one answer.
pub(super) fn form(text: &str) -> String {
    let mut text = text.replace('\n', "");
    for (from, to) in [
        ("\\!", ""),
        ("\\\\", "\\"),
        ("tfrac", "frac"),
        ("dfrac", "frac"),
        ("\\left", ""),
        ("\\right", ""),
        ("^{\\circ}", ""),
        ("^\\circ", ""),
        ("\\$", ""),
        ("\\%", ""),
        ("%", ""),
        (" .", " 0."),
        ("{.", "{0."),
    ] {
        text = text.replace(from, to);
    }
    if let Some(at) = text.find("\\text{ ") {
        text.truncate(at);
    }
    if text.starts_with('.') {
        text.insert(0, '0');
    }
    if let [left, right] = text.split('=').collect::<Vec<_>>()[..]
        && left.len() <= 2
    {
        text = right.to_owned();
    }
    text = braced(&text, "\\sqrt", 1).replace(' ', "");
    text = braced(&text, "\\frac", 2);
    if text == "0.5" {
        return "\\frac{1}{2}".into();
    }
    quotient(&text).unwrap_or(text)
}

/// A command with its first `count` arguments in braces, where they are written without.
fn braced(text: &str, command: &str, count: usize) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(command) {
        out.push_str(&rest[..at + command.len()]);
        rest = &rest[at + command.len()..];
        for _ in 0..count {
            match rest.chars().next() {
                Some(c) if c != '{' && c != '[' => {
                    out.extend(['{', c, '}']);
                    rest = &rest[c.len_utf8()..];
                }
                Some('{') => {
                    let length = rest.find('}').map_or(rest.len(), |end| end + 1);
                    out.push_str(&rest[..length]);
                    rest = &rest[length..];
                }
                _ => break,
            }
        }
    }
    out + rest
}

/// `a/b` of two integers as a fraction.
fn quotient(text: &str) -> Option<String> {
    let (a, b) = text.split_once('/')?;
    let integer = |part: &str| {
        let digits = part.strip_prefix('-').unwrap_or(part);
        !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())
    };
    (integer(a) && integer(b)).then(|| format!("\\frac{{{a}}}{{{b}}}"))
}
