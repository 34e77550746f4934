//! The only place where text becomes tokens and back: tokenizer, chat template, streaming detokenizer.

use serde::{Deserialize, Serialize};

/// A message of a chat.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChatMessage {
    /// `system`, `developer`, `user`, `assistant` or `tool`.
    pub role: String,
    /// Plain text.
    pub content: String,
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

/// Tokenizer, special tokens and chat template of a model. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Tokenizer {}

impl Tokenizer {
    /// Encodes text; `add_special_tokens` adds BOS and the like where the model wants them. Never for templated chat.
    ///
    /// # Errors
    /// [`TextError::Tokenizer`].
    pub fn encode(&self, _text: &str, _add_special_tokens: bool) -> Result<Vec<u32>, TextError> {
        unimplemented!()
    }

    /// Decodes ids, skipping special tokens if asked.
    ///
    /// # Errors
    /// [`TextError::UnknownToken`].
    pub fn decode(&self, _ids: &[u32], _skip_special_tokens: bool) -> Result<String, TextError> {
        unimplemented!()
    }

    /// The literal text of one token as API logprobs show it, and its bytes.
    #[must_use]
    pub fn token_text(&self, _id: u32) -> (String, Vec<u8>) {
        unimplemented!()
    }

    /// Renders messages with the chat template and encodes them. `add_generation_prompt` opens the assistant's turn.
    ///
    /// # Errors
    /// [`TextError::Template`] if the model has no template or it refuses the messages.
    pub fn encode_chat(&self, _messages: &[ChatMessage], _add_generation_prompt: bool) -> Result<Vec<u32>, TextError> {
        unimplemented!()
    }

    /// Tokens that end a generation.
    #[must_use]
    pub fn eos_ids(&self) -> &[u32] {
        unimplemented!()
    }

    /// Size of the vocabulary, added tokens included.
    #[must_use]
    pub fn vocab_size(&self) -> usize {
        unimplemented!()
    }

    /// A decoder for one growing sequence.
    #[must_use]
    pub fn stream(&self) -> DecodeStream {
        unimplemented!()
    }
}

/// Turns a growing token sequence into text, holding back incomplete UTF-8.
#[derive(Debug)]
pub struct DecodeStream {}

impl DecodeStream {
    /// Appends a token; returns the text that became final.
    pub fn push(&mut self, _token: u32) -> String {
        unimplemented!()
    }

    /// Text still held back, invalid bytes replaced.
    pub fn finish(&mut self) -> String {
        unimplemented!()
    }
}
