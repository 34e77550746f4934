//! Request values that may take several JSON shapes, with errors that say which shapes are allowed.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

/// What to continue: text or token ids, one or several.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(untagged, try_from = "Value")]
pub enum Prompt {
    /// One text.
    Text(String),
    /// Several texts.
    Texts(Vec<String>),
    /// One prompt as token ids.
    Tokens(Vec<u32>),
    /// Several prompts as token ids.
    TokenLists(Vec<Vec<u32>>),
}

const PROMPT_SHAPES: &str = "expected a string, a list of strings, a list of token ids or a list of lists of token ids";

impl TryFrom<Value> for Prompt {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        match value {
            Value::String(text) => Ok(Self::Text(text)),
            Value::Array(items) => match items.first() {
                None => Err("the list is empty; at least one prompt is needed".into()),
                Some(Value::String(_)) => texts(items).map(Self::Texts),
                Some(Value::Number(_)) => token_ids(items).map(Self::Tokens),
                Some(Value::Array(_)) => items
                    .into_iter()
                    .map(token_list)
                    .collect::<Result<_, _>>()
                    .map(Self::TokenLists),
                Some(_) => Err(PROMPT_SHAPES.into()),
            },
            _ => Err(PROMPT_SHAPES.into()),
        }
    }
}

fn texts(items: Vec<Value>) -> Result<Vec<String>, String> {
    let text = |item| {
        if let Value::String(text) = item {
            Ok(text)
        } else {
            Err(PROMPT_SHAPES.to_string())
        }
    };
    items.into_iter().map(text).collect()
}

fn token_list(item: Value) -> Result<Vec<u32>, String> {
    if let Value::Array(items) = item {
        token_ids(items)
    } else {
        Err(PROMPT_SHAPES.into())
    }
}

fn token_ids(items: Vec<Value>) -> Result<Vec<u32>, String> {
    let id = |item: Value| {
        let id = item.as_u64().and_then(|id| u32::try_from(id).ok());
        id.ok_or_else(|| format!("{item} is not a token id; {PROMPT_SHAPES}"))
    };
    items.into_iter().map(id).collect()
}

/// Token ids of one text or of several.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(untagged, try_from = "Value")]
pub enum TokenIds {
    /// Of one.
    One(Vec<u32>),
    /// Of several.
    Many(Vec<Vec<u32>>),
}

const TOKEN_SHAPES: &str = "expected a list of token ids or a list of lists of token ids";

impl TryFrom<Value> for TokenIds {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        match value {
            Value::Array(items) if items.is_empty() => Ok(Self::One(Vec::new())),
            Value::Array(_) => match Prompt::try_from(value)? {
                Prompt::Tokens(tokens) => Ok(Self::One(tokens)),
                Prompt::TokenLists(lists) => Ok(Self::Many(lists)),
                Prompt::Text(_) | Prompt::Texts(_) => Err(TOKEN_SHAPES.into()),
            },
            _ => Err(TOKEN_SHAPES.into()),
        }
    }
}

/// One string or a list of strings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(untagged, try_from = "Value")]
pub enum TextOrList {
    /// One.
    One(String),
    /// Several.
    Many(Vec<String>),
}

impl TryFrom<Value> for TextOrList {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        let refusal = || "expected a string or a list of strings".to_string();
        match value {
            Value::String(text) => Ok(Self::One(text)),
            Value::Array(items) => items
                .into_iter()
                .map(|item| {
                    if let Value::String(text) = item {
                        Ok(text)
                    } else {
                        Err(refusal())
                    }
                })
                .collect::<Result<_, _>>()
                .map(Self::Many),
            _ => Err(refusal()),
        }
    }
}

impl From<TextOrList> for Vec<String> {
    fn from(value: TextOrList) -> Self {
        match value {
            TextOrList::One(text) => vec![text],
            TextOrList::Many(texts) => texts,
        }
    }
}

/// Content of a message: a string or a list of text parts, which are joined.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(untagged, try_from = "Value")]
pub enum Content {
    /// Plain text.
    Text(String),
    /// Parts.
    Parts(Vec<TextPart>),
}

/// A part of a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TextPart {
    /// Always `text`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The text.
    pub text: String,
}

impl TryFrom<Value> for Content {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        match value {
            Value::String(text) => Ok(Self::Text(text)),
            Value::Array(items) => items
                .into_iter()
                .enumerate()
                .map(part)
                .collect::<Result<_, _>>()
                .map(Self::Parts),
            _ => Err("expected a string or a list of text parts".into()),
        }
    }
}

fn part((index, item): (usize, Value)) -> Result<TextPart, String> {
    match item.get("type").and_then(Value::as_str) {
        Some("text") => serde_json::from_value(item).map_err(|error| format!("part {index}: {error}")),
        Some(kind) => Err(format!(
            "part {index} is of type `{kind}`, and only `text` is supported"
        )),
        None => Err(format!(
            "part {index} has no `type`; expected {{\"type\": \"text\", \"text\": \"...\"}}"
        )),
    }
}

impl Content {
    /// The text, parts joined without a separator.
    #[must_use]
    pub fn into_text(self) -> String {
        match self {
            Self::Text(text) => text,
            Self::Parts(parts) => parts.into_iter().map(|part| part.text).collect(),
        }
    }
}

/// A seed: any 64-bit integer; negative ones are taken as their two's complement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "Value")]
pub struct Seed(pub u64);

impl TryFrom<Value> for Seed {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        let seed = value.as_u64().or_else(|| value.as_i64().map(i64::cast_unsigned));
        seed.map(Self).ok_or_else(|| format!("{value} is not a 64-bit integer"))
    }
}
