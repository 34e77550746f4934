//! Finds the problem inside a synthesis output.

use super::RejectReason;

const FENCE: &str = "```";

/// The problem marked in a synthesis output, trimmed. After the last `</think>`: the first fence tagged `text`; else
/// the first fence of any kind; else the paragraph under a bold "Reconstructed Question" heading. Every output is
/// judged on its own: without a marker there is no problem.
///
/// # Errors
/// [`RejectReason::NoMarker`], [`RejectReason::Unclosed`] or [`RejectReason::Empty`].
pub fn extract_problem(output: &str) -> Result<&str, RejectReason> {
    let output = output.rsplit_once("</think>").map_or(output, |(_, after)| after);
    let marked = match (tagged_fence(output), output.split_once(FENCE)) {
        (Some(body), _) | (None, Some((_, body))) => body.split_once(FENCE).ok_or(RejectReason::Unclosed)?.0,
        (None, None) => under_heading(output).ok_or(RejectReason::NoMarker)?,
    };
    match marked.trim() {
        "" => Err(RejectReason::Empty),
        problem => Ok(problem),
    }
}

/// What follows the first fence tagged exactly `text`.
fn tagged_fence(output: &str) -> Option<&str> {
    const TAG: &str = "```text";
    let starts = output.match_indices(TAG).map(|(at, _)| &output[at + TAG.len()..]);
    starts
        .into_iter()
        .find(|body| body.chars().next().is_none_or(char::is_whitespace))
}

/// The paragraph after a line `**Reconstructed Question**` (a colon and any case allowed) and a blank line.
fn under_heading(output: &str) -> Option<&str> {
    let mut offset = 0;
    for line in output.split_inclusive('\n') {
        offset += line.len();
        let heading = line
            .trim()
            .trim_end_matches(':')
            .trim_matches('*')
            .trim()
            .trim_end_matches(':');
        if line.trim_start().starts_with("**") && heading.eq_ignore_ascii_case("reconstructed question") {
            let after = &output[offset..];
            let blank = after
                .split_inclusive('\n')
                .next()
                .filter(|next| next.trim().is_empty())?;
            let body = after[blank.len()..].trim_start();
            return Some(body.split("\n\n").next().unwrap_or(body));
        }
    }
    None
}

#[cfg(test)]
mod tests;
