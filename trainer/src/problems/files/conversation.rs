//! Problems that are conversations, as OpenAI's files for fine-tuning have them: posed as they are.

use serde_json::Value;
use svs_engine::text::ChatMessage;

use super::super::Problem;
use super::FileOptions;
use super::columns::{as_text, lookup};

/// Where the answer is looked for.
pub(super) const ANSWER: &str = "answer";
/// Roles that a message may have.
const ROLES: [&str; 4] = ["system", "developer", "user", "assistant"];

/// The problem in a row whose `column` holds a conversation, but for its id and source.
///
/// # Errors
/// The field at fault, and what is wrong with it.
pub(super) fn problem(row: &Value, column: &str, options: &FileOptions) -> Result<Problem, (String, String)> {
    let fault = |field: &str, reason: String| Err((field.to_owned(), reason));
    let Some(Value::Array(given)) = lookup(row, column) else {
        return fault(column, "is no list of messages".into());
    };
    let mut messages = Vec::with_capacity(given.len());
    for (at, message) in given.iter().enumerate() {
        let text = |key: &str| message.get(key).and_then(Value::as_str);
        let role = match text("role") {
            Some(role) if ROLES.contains(&role) => role,
            _ => {
                return fault(
                    &format!("{column}[{at}].role"),
                    format!("is none of {}", ROLES.join(", ")),
                );
            }
        };
        let content = match text("content") {
            Some(content) if (1..=options.max_text_bytes).contains(&content.len()) => content,
            _ => {
                let most = options.max_text_bytes;
                let reason = format!("must be a text of 1 to `max_text_bytes` = {most} bytes");
                return fault(&format!("{column}[{at}].content"), reason);
            }
        };
        messages.push(ChatMessage::new(role, content));
    }
    let Some(last) = messages.last().filter(|last| last.role == "user") else {
        return fault(column, "must end with a message of the user, to be answered".into());
    };
    let answer = lookup(row, options.answer.as_deref().unwrap_or(ANSWER)).and_then(|answer| as_text(answer).ok());
    Ok(Problem {
        question: last.content.clone(),
        answer: answer
            .filter(|answer| answer.len() <= options.max_text_bytes)
            .unwrap_or_default(),
        messages: Some(messages),
        row: row.as_object().cloned().map(Box::new),
        ..Problem::default()
    })
}
