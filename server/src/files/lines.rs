//! What a line of an uploaded file must hold: a conversation, and whatever else its grader looks at.

use std::io::{self, BufRead, Read};

use serde_json::Value;

/// Longest line, bytes: a line is parsed as a whole.
const MAX_LINE_BYTES: u64 = 1 << 20;
/// Roles of messages.
const ROLES: [&str; 4] = ["system", "developer", "user", "assistant"];

/// Why a file is refused.
#[derive(Debug, thiserror::Error)]
pub enum LineError {
    /// A line is wrong.
    #[error("line {line}: {}{reason}", field_of(.field))]
    Line {
        /// Line, from 1.
        line: usize,
        /// Path of the field; empty for the whole line.
        field: String,
        /// What is wrong.
        reason: String,
    },
    /// There is none.
    #[error("the file has no line that is not blank")]
    Empty,
    /// It cannot be read back.
    #[error(transparent)]
    Read(#[from] io::Error),
}

fn field_of(field: &str) -> String {
    match field {
        "" => String::new(),
        field => format!("`{field}`: "),
    }
}

/// The conversations of a file, with the number of each one's line; blank lines are passed over.
///
/// # Errors
/// Any [`LineError`], of the first line that is wrong, or what `take` says of it.
pub fn read_lines(
    mut file: impl BufRead,
    mut take: impl FnMut(usize, Value) -> Result<(), LineError>,
) -> Result<usize, LineError> {
    let (mut bytes, mut found) = (Vec::new(), 0);
    for line in 1.. {
        bytes.clear();
        if (&mut file).take(MAX_LINE_BYTES + 1).read_until(b'\n', &mut bytes)? == 0 {
            break;
        }
        let refuse = |reason: String| LineError::Line {
            line,
            field: String::new(),
            reason,
        };
        if bytes.len() as u64 > MAX_LINE_BYTES {
            return Err(refuse(format!("is longer than {MAX_LINE_BYTES} bytes")));
        }
        if bytes.trim_ascii().is_empty() {
            continue;
        }
        let row = serde_json::from_slice(&bytes).map_err(|error| refuse(format!("is not valid JSON: {error}")))?;
        check(&row).map_err(|(field, reason)| LineError::Line { line, field, reason })?;
        take(line, row)?;
        found += 1;
    }
    if found == 0 { Err(LineError::Empty) } else { Ok(found) }
}

/// The field that is wrong, and what is wrong with it.
type Fault = (String, String);

fn check(row: &Value) -> Result<(), Fault> {
    let fault = |field: &str, reason: &str| Err((field.to_owned(), reason.to_owned()));
    let Some(row) = row.as_object() else {
        return fault("", "must be a JSON object");
    };
    match row.get("messages") {
        None => fault("messages", "is missing"),
        Some(Value::Array(messages)) if messages.is_empty() => fault("messages", "is empty"),
        Some(Value::Array(messages)) => messages
            .iter()
            .enumerate()
            .try_for_each(|(at, message)| check_message(&format!("messages[{at}]"), message)),
        Some(_) => fault("messages", "must be a list"),
    }
}

fn check_message(path: &str, message: &Value) -> Result<(), Fault> {
    let fault = |field: &str, reason: String| Err((format!("{path}{field}"), reason));
    let Some(message) = message.as_object() else {
        return fault("", "must be an object".into());
    };
    if let Some(other) = message
        .keys()
        .find(|key| !["role", "content", "weight"].contains(&key.as_str()))
    {
        return fault(
            &format!(".{other}"),
            "is not supported; a message has `role` and `content`".into(),
        );
    }
    match message.get("role").and_then(Value::as_str) {
        Some(role) if ROLES.contains(&role) => {}
        Some(role) => return fault(".role", format!("`{role}` is none of {}", ROLES.join(", "))),
        None => return fault(".role", "must be a text".into()),
    }
    match message.get("content") {
        Some(Value::String(text)) if !text.is_empty() => Ok(()),
        Some(Value::String(_)) => fault(".content", "is empty".into()),
        None => fault(".content", "is missing".into()),
        Some(_) => fault(".content", "must be a text".into()),
    }?;
    match message.get("weight") {
        None | Some(Value::Null) => Ok(()),
        // OpenAI's switch for messages of the assistant, which a supervised job learns or not.
        Some(weight) if weight.as_u64().is_some_and(|weight| weight <= 1) => Ok(()),
        Some(_) => fault(".weight", "must be 0 or 1".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> String {
        match read_lines(text.as_bytes(), |_, _| Ok(())) {
            Ok(found) => found.to_string(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn a_refusal_names_the_line_and_the_field() {
        let good = r#"{"messages": [{"role": "user", "content": "2 + 2?"}], "answer": 4}"#;
        for (text, wanted) in [
            (good.to_owned(), "1"),
            (format!("\n{good}\r\n  \n{good}\n"), "2"),
            (String::new(), "no line"),
            ("\n \n".into(), "no line"),
            (format!("{good}\n\n{{\"messages\": "), "line 3: is not valid JSON"),
            (format!("{good}\n[]"), "line 2: must be a JSON object"),
            ("{}".into(), "line 1: `messages`: is missing"),
            (r#"{"messages": {}}"#.into(), "`messages`: must be a list"),
            (r#"{"messages": []}"#.into(), "`messages`: is empty"),
            (r#"{"messages": ["hi"]}"#.into(), "`messages[0]`: must be an object"),
            (
                r#"{"messages": [{"content": "x"}]}"#.into(),
                "`messages[0].role`: must be a text",
            ),
            (
                r#"{"messages": [{"role": "tool", "content": "x"}]}"#.into(),
                "`messages[0].role`: `tool` is none of",
            ),
            (
                r#"{"messages": [{"role": "user"}]}"#.into(),
                "`messages[0].content`: is missing",
            ),
            (
                r#"{"messages": [{"role": "user", "content": ""}]}"#.into(),
                "`messages[0].content`: is empty",
            ),
            (
                r#"{"messages": [{"role": "user", "content": [{"type": "text", "text": "x"}]}]}"#.into(),
                "`messages[0].content`: must be a text",
            ),
            (
                r#"{"messages": [{"role": "user", "content": "x", "name": "y"}]}"#.into(),
                "`messages[0].name`: is not supported",
            ),
            (
                r#"{"messages": [{"role": "assistant", "content": "x", "weight": 2}]}"#.into(),
                "`messages[0].weight`: must be 0 or 1",
            ),
            (
                format!("\"{}\"", "x".repeat(MAX_LINE_BYTES as usize)),
                "line 1: is longer than",
            ),
        ] {
            assert!(told(&text).contains(wanted), "{wanted}: {}", told(&text));
        }
    }
}
