//! Conversations from JSONL, in which every turn of the assistant is learned, as OpenAI's files for fine-tuning mean it.

use std::path::Path;

use serde_json::{Map, Value};
use svs_engine::text::{ChatMessage, Tokenizer};

use super::Example;
use super::jsonl::{chat, for_each_line, plain};
use crate::policy::PolicyError;

/// Roles that a message may have.
const ROLES: [&str; 4] = ["system", "developer", "user", "assistant"];
/// What OpenAI's files may have beside the messages, and is not learned here.
const UNSUPPORTED: [&str; 4] = ["tools", "functions", "function_call", "parallel_tool_calls"];

/// A line: one example for each turn that is learned, each with all that was said before it.
pub type Conversation = Vec<Example>;

/// Reads JSONL with `{"messages": [...]}`, of which every message of the assistant is learned unless its `weight` is 0, or
/// `{"prompt", "completion"}`, and hands each conversation to `take`, one in memory at a time. Targets end with EOS. Blank
/// lines are skipped.
///
/// # Errors
/// [`PolicyError::Batch`] naming the file, the line and what is wrong with it, also one of more than `longest` tokens, or
/// what `take` says of it.
pub fn visit_conversations(
    path: &Path,
    tokenizer: &Tokenizer,
    longest: usize,
    take: &mut dyn FnMut(Conversation) -> Result<(), String>,
) -> Result<(), PolicyError> {
    let mut found = false;
    for_each_line(path, |line| {
        found = true;
        take(fitting(parse(line, tokenizer)?, longest)?)
    })?;
    match found {
        true => Ok(()),
        false => Err(PolicyError::Batch(format!("{}: has no example", path.display()))),
    }
}

fn fitting(conversation: Conversation, longest: usize) -> Result<Conversation, String> {
    let tokens = conversation
        .iter()
        .map(|turn| turn.prompt.len() + turn.target.len())
        .max();
    match tokens {
        Some(tokens) if tokens > longest => Err(format!(
            "has {tokens} tokens, more than the context length of {longest}; shorten or remove it"
        )),
        _ => Ok(conversation),
    }
}

fn parse(line: &str, tokenizer: &Tokenizer) -> Result<Conversation, String> {
    let row: Value = serde_json::from_str(line).map_err(|error| format!("not JSON: {error}"))?;
    let empty = |value: &Value| value.is_null() || value.as_array().is_some_and(Vec::is_empty);
    if let Some(field) = UNSUPPORTED.iter().find(|field| !empty(&row[**field])) {
        return Err(format!("`{field}` is not supported"));
    }
    let text = |key: &str| row[key].as_str().filter(|text| !text.is_empty());
    match (&row["messages"], text("prompt"), text("completion")) {
        (Value::Array(messages), None, None) => turns(messages, tokenizer),
        (Value::Null, Some(prompt), Some(completion)) => Ok(vec![plain(prompt, completion, tokenizer)?]),
        _ => Err(
            "expected {\"messages\": [{\"role\", \"content\"}, ...]} or {\"prompt\", \"completion\"} with texts that are \
             not empty"
                .into(),
        ),
    }
}

fn turns(messages: &[Value], tokenizer: &Tokenizer) -> Result<Conversation, String> {
    let read: Vec<(ChatMessage, bool)> = messages
        .iter()
        .enumerate()
        .map(|(at, message)| {
            message_of(message).map_err(|(field, reason)| format!("`messages[{at}]{field}`: {reason}"))
        })
        .collect::<Result<_, _>>()?;
    let (messages, learned): (Vec<ChatMessage>, Vec<bool>) = read.into_iter().unzip();
    if messages.last().is_none_or(|last| last.role != "assistant") {
        return Err("`messages` must end with a message of the assistant, which is learned".into());
    }
    if messages[0].role == "assistant" && learned[0] {
        return Err("`messages[0]` is the assistant's: there is nothing that it answers".into());
    }
    let wanted = (0..messages.len()).filter(|at| learned[*at]);
    let conversation: Conversation = wanted
        .map(|at| chat(&messages[..=at], tokenizer))
        .collect::<Result<_, _>>()?;
    if conversation.is_empty() {
        return Err("no message of the assistant has a `weight` of 1: there is nothing to learn".into());
    }
    Ok(conversation)
}

/// The message, and whether it is learned; or the field at fault and what is wrong with it.
fn message_of(message: &Value) -> Result<(ChatMessage, bool), (String, String)> {
    let fault = |field: &str, reason: String| Err((field.to_owned(), reason));
    let nothing = Map::new();
    let given = message.as_object().unwrap_or(&nothing);
    if let Some(other) = given
        .iter()
        .find(|(key, value)| !["role", "content", "weight"].contains(&key.as_str()) && !value.is_null())
    {
        return fault(&format!(".{}", other.0), "is not supported".into());
    }
    let role = match message["role"].as_str() {
        Some(role) if ROLES.contains(&role) => role,
        _ => return fault(".role", format!("must be one of {}", ROLES.join(", "))),
    };
    let content = match message["content"].as_str() {
        Some(content) if !content.is_empty() => content,
        _ => return fault(".content", "must be a text that is not empty".into()),
    };
    let learned = match (&message["weight"], role) {
        (Value::Null, _) => role == "assistant",
        (weight, "assistant") if weight.as_u64().is_some_and(|weight| weight <= 1) => weight.as_u64() == Some(1),
        (_, "assistant") => return fault(".weight", "must be 0 or 1".into()),
        _ => return fault(".weight", "only messages of the assistant have one".into()),
    };
    Ok((ChatMessage::new(role, content), learned))
}
