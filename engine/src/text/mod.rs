//! The only place where text becomes tokens and back: tokenizer, chat template, streaming detokenizer.
//!
//! Knows nothing of weights, requests or HTTP. `load` finds the files and hands over their bytes.

mod alphabet;
mod bytes_only;
mod clock;
mod pieces;
mod stream;
mod template;
mod tokenizer;
mod tools;

#[cfg(test)]
mod template_tests;
#[cfg(test)]
pub(crate) mod tests;

use serde::{Deserialize, Serialize};

pub(crate) use alphabet::byte_to_char;
pub use bytes_only::CHATML;
pub(crate) use bytes_only::added_token;
pub use stream::DecodeStream;
pub use template::ChatTemplate;
pub use tokenizer::{Tokenizer, TokenizerFiles};
pub use tools::{CALL_CLOSES, CALL_OPENS, FunctionCall, ToolCall, ToolFormat};

/// A message of a chat.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChatMessage {
    /// `system`, `developer`, `user`, `assistant` or `tool`.
    pub role: String,
    /// Plain text.
    pub content: String,
    /// Calls that an `assistant` makes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tool_calls: Vec<ToolCall>,
    /// The call that a `tool` answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_call_id: Option<String>,
}

impl ChatMessage {
    /// A message with the given role and text.
    #[must_use]
    pub fn new(role: &str, content: &str) -> Self {
        Self {
            role: role.to_owned(),
            content: content.to_owned(),
            tool_calls: Vec::new(),
            tool_call_id: None,
        }
    }
}

/// Errors of tokenization and templates.
#[derive(Debug, Clone, thiserror::Error)]
pub enum TextError {
    /// The tokenizer file cannot be read.
    #[error("tokenizer: {0}")]
    Tokenizer(String),
    /// The chat template failed or refused the messages.
    #[error("chat template: {0}")]
    Template(String),
    /// A token id is outside the vocabulary.
    #[error("token id {id} is outside the vocabulary of {vocab_size}")]
    UnknownToken {
        /// The id.
        id: u32,
        /// Size of the vocabulary.
        vocab_size: usize,
    },
}
