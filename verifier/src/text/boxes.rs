//! Balanced boxes in a response.

/// The content of the last balanced `\boxed{}` or `\fbox{}`, if any. Escaped braces do not count.
#[must_use]
pub fn last_boxed(text: &str) -> Option<&str> {
    boxes(text).last().map(|b| &text[b.inner_start..b.inner_end])
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BoxSpan {
    pub(super) start: usize,
    pub(super) inner_start: usize,
    pub(super) inner_end: usize,
    pub(super) end: usize,
}

/// Outermost balanced boxes, in order, in one pass.
pub(super) fn boxes(text: &str) -> Vec<BoxSpan> {
    let bytes = text.as_bytes();
    let mut open: Vec<Option<(usize, usize)>> = Vec::new();
    let mut closed: Vec<BoxSpan> = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => {
                let rest = &bytes[at + 1..];
                let name = [&b"boxed"[..], b"fbox"].into_iter().find(|name| rest.starts_with(name));
                match name.and_then(|name| brace_after(bytes, at + 1 + name.len())) {
                    Some(brace) => {
                        open.push(Some((at, brace + 1)));
                        at = brace + 1;
                    }
                    // `\\boxed`: the second backslash is looked at only if it starts a box, else `\\` ends a line.
                    None if [&b"\\boxed"[..], b"\\fbox"].iter().any(|name| rest.starts_with(name)) => at += 1,
                    None => at += 2,
                }
                continue;
            }
            b'{' => open.push(None),
            b'}' => {
                if let Some(Some((start, inner_start))) = open.pop() {
                    while closed.last().is_some_and(|b| b.start > start) {
                        closed.pop();
                    }
                    closed.push(BoxSpan {
                        start,
                        inner_start,
                        inner_end: at,
                        end: at + 1,
                    });
                }
            }
            _ => {}
        }
        at += 1;
    }
    closed
}

/// The position of an opening brace at `at`, blanks before it allowed.
fn brace_after(bytes: &[u8], at: usize) -> Option<usize> {
    let blanks = bytes[at.min(bytes.len())..]
        .iter()
        .take_while(|b| b.is_ascii_whitespace())
        .count();
    (bytes.get(at + blanks) == Some(&b'{')).then_some(at + blanks)
}
