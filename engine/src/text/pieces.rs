//! The bytes behind every token id, read once from the tokenizer, so that decoding is concatenation.

use serde_json::Value;
use tokenizers::Tokenizer as Inner;

use super::TextError;
use super::alphabet::char_to_byte;

/// How vocabulary strings spell bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Spelling {
    /// GPT-2's alphabet: one character per byte.
    ByteLevel,
    /// SentencePiece: `▁` is a space, `<0x0A>` is a byte; the first space of a sequence may be dropped.
    SentencePiece { drop_first_space: bool },
}

/// Bytes and kind of every token id.
#[derive(Debug)]
pub(super) struct Pieces {
    bytes: Vec<u8>,
    /// End of token `id` in `bytes`; it starts where `id - 1` ends.
    ends: Vec<usize>,
    special: Vec<bool>,
    pub(super) drop_first_space: bool,
}

impl Pieces {
    /// Reads the pieces of `inner`, whose file is `json`.
    pub(super) fn new(inner: &Inner, json: &Value) -> Result<Self, TextError> {
        let spelling = spelling(json.get("decoder").unwrap_or(&Value::Null))?;
        let added = inner.get_added_tokens_decoder();
        let vocabulary = inner.get_vocab(true);
        let size = vocabulary.values().max().map_or(0, |&id| id as usize + 1);
        if size > 4 * vocabulary.len() + 1024 {
            let reason = format!("{} tokens with ids up to {}: too sparse", vocabulary.len(), size - 1);
            return Err(TextError::Tokenizer(reason));
        }
        let mut texts: Vec<&str> = vec![""; size];
        for (text, &id) in &vocabulary {
            texts[id as usize] = text;
        }
        let mut pieces = Self {
            bytes: Vec::new(),
            ends: Vec::with_capacity(size),
            special: vec![false; size],
            drop_first_space: spelling == Spelling::SentencePiece { drop_first_space: true },
        };
        for (id, text) in texts.into_iter().enumerate() {
            match u32::try_from(id).ok().and_then(|id| added.get(&id)) {
                Some(token) => {
                    pieces.bytes.extend_from_slice(token.content.as_bytes());
                    pieces.special[id] = token.special;
                }
                None => spell(text, spelling, &mut pieces.bytes),
            }
            pieces.ends.push(pieces.bytes.len());
        }
        Ok(pieces)
    }

    /// One more than the largest id.
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Bytes of `id`; empty when it is outside the vocabulary.
    pub(super) fn bytes(&self, id: u32) -> &[u8] {
        let id = id as usize;
        let Some(&end) = self.ends.get(id) else { return &[] };
        let start = if id == 0 { 0 } else { self.ends[id - 1] };
        &self.bytes[start..end]
    }

    /// Bytes of the longest token.
    pub(super) fn longest(&self) -> usize {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        self.ends
            .iter()
            .zip(starts)
            .map(|(end, start)| end - start)
            .max()
            .unwrap_or(0)
    }

    /// Control tokens such as `<|im_end|>`, which decoding may skip.
    pub(super) fn is_special(&self, id: u32) -> bool {
        self.special.get(id as usize).copied().unwrap_or(false)
    }
}

fn spell(text: &str, spelling: Spelling, out: &mut Vec<u8>) {
    match spelling {
        Spelling::ByteLevel => match text.chars().map(char_to_byte).collect::<Option<Vec<u8>>>() {
            Some(bytes) => out.extend_from_slice(&bytes),
            None => out.extend_from_slice(text.as_bytes()),
        },
        Spelling::SentencePiece { .. } => match fallback_byte(text) {
            Some(byte) => out.push(byte),
            None => out.extend_from_slice(text.replace('▁', " ").as_bytes()),
        },
    }
}

fn fallback_byte(text: &str) -> Option<u8> {
    let hex = text.strip_prefix("<0x")?.strip_suffix('>')?;
    if hex.len() == 2 {
        u8::from_str_radix(hex, 16).ok()
    } else {
        None
    }
}

/// Finds the spelling in the `decoder` entry of tokenizer.json.
fn spelling(decoder: &Value) -> Result<Spelling, TextError> {
    let parts = match decoder.get("decoders").and_then(Value::as_array) {
        Some(parts) => parts.iter().collect(),
        None => vec![decoder],
    };
    let kind = |part: &Value| part.get("type").and_then(Value::as_str).unwrap_or("none").to_owned();
    let kinds: Vec<String> = parts.iter().map(|part| kind(part)).collect();
    if kinds.iter().any(|kind| kind == "ByteLevel") {
        return Ok(Spelling::ByteLevel);
    }
    if let Some(at) = kinds.iter().position(|kind| kind == "Metaspace") {
        let scheme = parts[at].get("prepend_scheme").and_then(Value::as_str);
        let legacy = parts[at].get("add_prefix_space").and_then(Value::as_bool);
        let prepends = scheme.map_or(legacy.unwrap_or(true), |scheme| scheme != "never");
        return Ok(Spelling::SentencePiece {
            drop_first_space: prepends,
        });
    }
    if kinds.iter().any(|kind| kind == "ByteFallback" || kind == "Replace") {
        return Ok(Spelling::SentencePiece {
            drop_first_space: kinds.iter().any(|kind| kind == "Strip"),
        });
    }
    Err(TextError::Tokenizer(format!(
        "decoder `{}` is not supported (ByteLevel and SentencePiece are)",
        kinds.join("+")
    )))
}
