//! Tokenizer, special tokens and chat template of one model.

use std::sync::Arc;

use serde_json::Value;
use tokenizers::Tokenizer as Inner;

use super::pieces::Pieces;
use super::template::ChatTemplate;
use super::{ChatMessage, DecodeStream, TextError, ToolFormat};

/// The files a tokenizer is made of, kept verbatim so that a model can be saved again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TokenizerFiles {
    /// `tokenizer.json`.
    pub tokenizer_json: Vec<u8>,
    /// `tokenizer_config.json`: names of special tokens, possibly the chat template.
    pub tokenizer_config: Option<Vec<u8>>,
    /// `chat_template.jinja`; goes before the template of `tokenizer_config`.
    pub chat_template: Option<String>,
}

/// Tokenizer, special tokens and chat template of a model. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Tokenizer {
    shared: Arc<Shared>,
    vocab_size: usize,
}

#[derive(Debug)]
struct Shared {
    inner: Inner,
    pieces: Arc<Pieces>,
    longest_piece: usize,
    template: Option<ChatTemplate>,
    eos_ids: Vec<u32>,
    bos_id: Option<u32>,
    files: TokenizerFiles,
}

/// Tokens that close an assistant's turn in known templates; they end a generation if template and vocabulary have them.
const TURN_ENDS: [&str; 5] = ["<|im_end|>", "<|eot_id|>", "<|eom_id|>", "<|end|>", "<end_of_turn>"];

impl Tokenizer {
    /// Builds a tokenizer from the bytes of `tokenizer.json` and `tokenizer_config.json`.
    /// `eos_ids` are the ids listed by `config.json` and `generation_config.json`, if known.
    ///
    /// # Errors
    /// [`TextError::Tokenizer`] for a corrupt file, [`TextError::Template`] for a template that does not parse.
    pub fn from_json(
        tokenizer_json: &[u8],
        tokenizer_config: Option<&[u8]>,
        eos_ids: &[u32],
    ) -> Result<Self, TextError> {
        let files = TokenizerFiles {
            tokenizer_json: tokenizer_json.to_vec(),
            tokenizer_config: tokenizer_config.map(<[u8]>::to_vec),
            chat_template: None,
        };
        Self::from_files(files, eos_ids)
    }

    /// As [`Self::from_json`], with a separate chat template if the model has one.
    ///
    /// # Errors
    /// As [`Self::from_json`].
    pub fn from_files(files: TokenizerFiles, eos_ids: &[u32]) -> Result<Self, TextError> {
        // A syntax check first: the tokenizers crate panics on some truncated files.
        let json: Value = serde_json::from_slice(&files.tokenizer_json)
            .map_err(|error| TextError::Tokenizer(format!("tokenizer.json: {error}")))?;
        let mut inner = Inner::from_bytes(&files.tokenizer_json)
            .map_err(|error| TextError::Tokenizer(format!("tokenizer.json: {error}")))?;
        // Some files carry the truncation or padding of their training; a server must not shorten prompts silently.
        inner.with_padding(None);
        inner
            .with_truncation(None)
            .map_err(|error| TextError::Tokenizer(error.to_string()))?;
        let config = match &files.tokenizer_config {
            Some(bytes) => serde_json::from_slice(bytes)
                .map_err(|error| TextError::Tokenizer(format!("tokenizer_config.json: {error}")))?,
            None => Value::Null,
        };
        let pieces = Arc::new(Pieces::new(&inner, &json)?);
        let template = ChatTemplate::find(files.chat_template.as_deref(), &config)?;
        let named = |key: &str| special_token(&config, key).and_then(|token| inner.token_to_id(&token));
        let mut eos: Vec<u32> = eos_ids.iter().copied().chain(named("eos_token")).collect();
        if let Some(template) = &template {
            let closing = TURN_ENDS.iter().filter(|token| template.source().contains(**token));
            eos.extend(closing.filter_map(|token| inner.token_to_id(token)));
        }
        let mut eos_ids = Vec::new();
        for id in eos {
            if !eos_ids.contains(&id) {
                eos_ids.push(id);
            }
        }
        let bos_id = named("bos_token");
        let vocab_size = pieces.len();
        Ok(Self {
            shared: Arc::new(Shared {
                longest_piece: pieces.longest().max(1),
                inner,
                pieces,
                template,
                eos_ids,
                bos_id,
                files,
            }),
            vocab_size,
        })
    }

    /// The same tokenizer for a model with `rows` embedding rows: ids that only pad the embedding decode to nothing
    /// instead of being unknown, since a model can sample them.
    #[must_use]
    pub fn covering(self, rows: usize) -> Self {
        let vocab_size = self.vocab_size.max(rows);
        Self { vocab_size, ..self }
    }

    /// A number of tokens that a text of so many bytes has at least, known without encoding it: what tells a text that can
    /// never fit in time. A normaliser that removes more than three quarters of a text is not thought of.
    #[must_use]
    pub fn least_tokens(&self, bytes: usize) -> usize {
        let shrink = if self.shared.inner.get_normalizer().is_some() {
            4
        } else {
            1
        };
        bytes / (self.shared.longest_piece * shrink)
    }

    /// Encodes text; `add_special_tokens` adds BOS and the like where the model wants them. Never for templated chat.
    ///
    /// # Errors
    /// [`TextError::Tokenizer`].
    pub fn encode(&self, text: &str, add_special_tokens: bool) -> Result<Vec<u32>, TextError> {
        let encoding = self.shared.inner.encode_fast(text, add_special_tokens);
        Ok(encoding
            .map_err(|error| TextError::Tokenizer(error.to_string()))?
            .get_ids()
            .to_vec())
    }

    /// Decodes ids, skipping special tokens if asked. Invalid UTF-8 becomes replacement characters.
    ///
    /// # Errors
    /// [`TextError::UnknownToken`].
    pub fn decode(&self, ids: &[u32], skip_special_tokens: bool) -> Result<String, TextError> {
        let vocab_size = self.vocab_size();
        let mut stream = self.stream_with(skip_special_tokens);
        let mut text = String::new();
        for &id in ids {
            if id as usize >= vocab_size {
                return Err(TextError::UnknownToken { id, vocab_size });
            }
            text.push_str(&stream.push(id));
        }
        text.push_str(&stream.finish());
        Ok(text)
    }

    /// The literal text of one token as API logprobs show it, and its bytes. The text has replacement characters where
    /// the token holds only part of a character; an id outside the vocabulary has neither.
    #[must_use]
    pub fn token_text(&self, id: u32) -> (String, Vec<u8>) {
        let bytes = self.shared.pieces.bytes(id);
        (String::from_utf8_lossy(bytes).into_owned(), bytes.to_vec())
    }

    /// The id of a token given by its vocabulary string, e.g. `<|im_end|>`.
    #[must_use]
    pub fn token_id(&self, token: &str) -> Option<u32> {
        self.shared.inner.token_to_id(token)
    }

    /// True for control tokens, which decoding skips.
    #[must_use]
    pub fn is_special(&self, id: u32) -> bool {
        self.shared.pieces.is_special(id)
    }

    /// Renders messages with the chat template and encodes them. `add_generation_prompt` opens the assistant's turn.
    ///
    /// # Errors
    /// [`TextError::Template`] if the model has no template or it refuses the messages.
    pub fn encode_chat(&self, messages: &[ChatMessage], add_generation_prompt: bool) -> Result<Vec<u32>, TextError> {
        self.encode(&self.render_chat(messages, &[], add_generation_prompt)?, false)
    }

    /// The text of a chat in which `tools` (as OpenAI's API lists them) may be called; without any it is what
    /// [`Self::encode_chat`] encodes.
    ///
    /// # Errors
    /// [`TextError::Template`].
    pub fn render_chat(
        &self,
        messages: &[ChatMessage],
        tools: &[serde_json::Value],
        add_generation_prompt: bool,
    ) -> Result<String, TextError> {
        let template = self.shared.template.as_ref();
        let template =
            template.ok_or_else(|| TextError::Template("the model has none; use text completions instead".into()))?;
        template.render(messages, tools, add_generation_prompt)
    }

    /// How the model writes calls of functions; `None` without a chat template, or if it is not known here.
    #[must_use]
    pub fn tool_format(&self) -> Option<ToolFormat> {
        self.shared.template.as_ref()?.tool_format()
    }

    /// True if the model has a chat template.
    #[must_use]
    pub fn has_chat_template(&self) -> bool {
        self.shared.template.is_some()
    }

    /// Tokens that end a generation.
    #[must_use]
    pub fn eos_ids(&self) -> &[u32] {
        &self.shared.eos_ids
    }

    /// Token that begins a sequence, if the model has one.
    #[must_use]
    pub fn bos_id(&self) -> Option<u32> {
        self.shared.bos_id
    }

    /// Size of the vocabulary, added tokens and padding rows of the model included: one more than the largest id.
    #[must_use]
    pub fn vocab_size(&self) -> usize {
        self.vocab_size
    }

    /// A decoder for one growing sequence; skips special tokens.
    #[must_use]
    pub fn stream(&self) -> DecodeStream {
        self.stream_with(true)
    }

    /// A decoder for one growing sequence that may keep special tokens.
    #[must_use]
    pub fn stream_with(&self, skip_special_tokens: bool) -> DecodeStream {
        DecodeStream::new(Arc::clone(&self.shared.pieces), skip_special_tokens)
    }

    /// The files it was built from.
    #[must_use]
    pub fn files(&self) -> &TokenizerFiles {
        &self.shared.files
    }
}

/// A special token of `tokenizer_config.json`: a string, or an object with `content`.
pub(super) fn special_token(config: &Value, key: &str) -> Option<String> {
    let entry = config.get(key)?;
    entry
        .as_str()
        .or_else(|| entry.get("content")?.as_str())
        .map(str::to_owned)
}
