//! `/tokenize`, `/detokenize`: texts and chats as the model's tokens, and back.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::chat::Message;
use crate::flexible::{TextOrList, TokenIds};

/// A text, several texts, or a chat.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TokenizeRequest {
    /// A name from `/v1/models`; all have the same tokenizer.
    pub model: Option<String>,
    /// One text or several. Either this or `messages`.
    pub prompt: Option<TextOrList>,
    /// A chat, put through the model's template.
    pub messages: Option<Vec<Message>>,
    /// Begin as the model wants a sequence to begin. Default true for `prompt`; false for `messages`, whose template does so.
    pub add_special_tokens: Option<bool>,
    /// Open the assistant's turn after `messages`. Default true.
    pub add_generation_prompt: Option<bool>,
    /// Return the text of each token.
    pub return_token_strs: Option<bool>,
}

/// The tokens; a list per prompt where several were given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Tokenized {
    /// How many.
    pub count: Counts,
    /// Longest sequence served, prompt and completion together.
    pub max_model_len: usize,
    /// Their ids.
    pub tokens: TokenIds,
    /// Their texts, with `return_token_strs`.
    pub token_strs: Option<TokenTexts>,
}

/// Numbers of tokens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum Counts {
    /// Of one text.
    One(usize),
    /// Of several.
    Many(Vec<usize>),
}

/// Texts of tokens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum TokenTexts {
    /// Of one text.
    One(Vec<String>),
    /// Of several.
    Many(Vec<Vec<String>>),
}

/// Tokens to make a text of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DetokenizeRequest {
    /// A name from `/v1/models`; all have the same tokenizer.
    pub model: Option<String>,
    /// Token ids of one text or of several.
    pub tokens: TokenIds,
    /// Leave control tokens out. Default false, so that a text comes back as it went in.
    pub skip_special_tokens: Option<bool>,
}

/// The text; a list of them where several were given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Detokenized {
    /// The text, as vLLM names it.
    pub prompt: TextOrList,
    /// The same, as SGLang names it.
    pub text: TextOrList,
}
