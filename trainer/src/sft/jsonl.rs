//! Examples from JSONL.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use serde::Deserialize;
use svs_engine::text::{ChatMessage, TextError, Tokenizer};

use super::Example;
use crate::policy::PolicyError;

#[derive(Deserialize)]
#[serde(untagged)]
enum Line {
    Chat { messages: Vec<ChatMessage> },
    Plain { prompt: String, completion: String },
}

/// Reads JSONL with `{"messages": [...]}` (the last message, from the assistant, is the target; the chat template renders
/// the rest) or `{"prompt", "completion"}` (plain text). The target ends with EOS. Blank lines are skipped.
///
/// # Errors
/// [`PolicyError::Batch`] naming the file, the line and what is wrong with it.
pub fn read_jsonl(path: &Path, tokenizer: &Tokenizer) -> Result<Vec<Example>, PolicyError> {
    let mut examples = Vec::new();
    for_each_line(path, |line| {
        examples.push(parse(line, tokenizer)?);
        Ok(())
    })?;
    Ok(examples)
}

/// Hands each line that is not blank to `take`, whose refusal is told with the file and the line.
pub(super) fn for_each_line(path: &Path, mut take: impl FnMut(&str) -> Result<(), String>) -> Result<(), PolicyError> {
    let unreadable = |error: std::io::Error| PolicyError::Batch(format!("{}: {error}", path.display()));
    let lines = BufReader::new(File::open(path).map_err(unreadable)?).lines();
    for (at, line) in lines.enumerate() {
        let line = line.map_err(unreadable)?;
        if line.trim().is_empty() {
            continue;
        }
        take(&line).map_err(|reason| PolicyError::Batch(format!("{}: line {}: {reason}", path.display(), at + 1)))?;
    }
    Ok(())
}

fn parse(line: &str, tokenizer: &Tokenizer) -> Result<Example, String> {
    let value: serde_json::Value = serde_json::from_str(line).map_err(|error| format!("not JSON: {error}"))?;
    let line: Line = serde_json::from_value(value).map_err(|_| {
        "expected {\"messages\": [{\"role\", \"content\"}, ...]} or {\"prompt\", \"completion\"} with text values"
            .to_owned()
    })?;
    match line {
        Line::Chat { messages } => chat(&messages, tokenizer),
        Line::Plain { prompt, completion } => {
            if prompt.is_empty() || completion.is_empty() {
                return Err("prompt and completion must not be empty".into());
            }
            plain(&prompt, &completion, tokenizer)
        }
    }
}

/// Plain text and what follows it.
pub(super) fn plain(prompt: &str, completion: &str, tokenizer: &Tokenizer) -> Result<Example, String> {
    let encode = |text, special| {
        tokenizer
            .encode(text, special)
            .map_err(|error: TextError| error.to_string())
    };
    Ok(Example {
        prompt: encode(prompt, true)?,
        target: ended(encode(completion, false)?, tokenizer),
    })
}

/// What was said, and the last message as what should follow it.
pub(super) fn chat(messages: &[ChatMessage], tokenizer: &Tokenizer) -> Result<Example, String> {
    let Some((last, context)) = messages.split_last() else {
        return Err("messages is empty".into());
    };
    if last.role != "assistant" || last.content.is_empty() || context.is_empty() {
        return Err("messages must end with a non-empty message of the assistant after at least one other".into());
    }
    let prompt = tokenizer
        .encode_chat(context, true)
        .map_err(|error| error.to_string())?;
    let whole = tokenizer
        .encode_chat(messages, false)
        .map_err(|error| error.to_string())?;
    let target = match whole.strip_prefix(prompt.as_slice()) {
        Some(rest) if !rest.is_empty() => rest.to_vec(),
        // A template may render a finished turn otherwise than an opened one; then the content alone is the target.
        _ => tokenizer
            .encode(&last.content, false)
            .map_err(|error| error.to_string())?,
    };
    Ok(Example {
        prompt,
        target: ended(target, tokenizer),
    })
}

/// Cuts after the first EOS (templates put a line break behind it), or adds one.
fn ended(mut target: Vec<u32>, tokenizer: &Tokenizer) -> Vec<u32> {
    let eos = tokenizer.eos_ids();
    match target.iter().position(|token| eos.contains(token)) {
        Some(end) => target.truncate(end + 1),
        None => target.extend(eos.first()),
    }
    target
}
