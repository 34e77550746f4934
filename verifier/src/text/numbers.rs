//! The last number of a text, with the numbers it is listed with: naming every candidate is not an answer.

/// The span of the last number and of the numbers listed directly before it.
pub(super) fn last_number_run(text: &str) -> Option<(usize, usize)> {
    let bytes = text.as_bytes();
    let mut end = bytes.iter().rposition(u8::is_ascii_digit)? + 1;
    let mut start = number_start(bytes, end);
    if bytes.get(end) == Some(&b'%') {
        end += 1;
    }
    while let Some(previous) = text[..start].rfind(|c: char| c.is_ascii_digit()) {
        if !lists(&text[previous + 1..start]) {
            break;
        }
        start = number_start(bytes, previous + 1);
    }
    Some((start, end))
}

/// The start of the number that ends before `end`: digits with inner `.`, `,`, `/` and a sign.
fn number_start(bytes: &[u8], end: usize) -> usize {
    let digit = |at: usize| bytes[at].is_ascii_digit();
    let mut start = end;
    while start > 0 {
        let joins = matches!(bytes[start - 1], b'.' | b',' | b'/') && start >= 2 && digit(start - 2) && start < end;
        if !digit(start - 1) && !joins {
            break;
        }
        start -= 1;
    }
    let sign = start > 0 && bytes[start - 1] == b'-';
    let binary = start > 1 && (bytes[start - 2].is_ascii_alphanumeric() || bytes[start - 2] == b')');
    if sign && !binary { start - 1 } else { start }
}

/// Whether the text between two numbers lists them.
fn lists(between: &str) -> bool {
    let separator = between.contains([',', ';']) || between.contains("or") || between.contains("and");
    between.len() <= 16
        && separator
        && between
            .split(|c: char| c.is_whitespace() || matches!(c, ',' | ';' | '$' | '*'))
            .all(|word| matches!(word.to_ascii_lowercase().as_str(), "" | "or" | "and" | "-"))
}
