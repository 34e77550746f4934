//! Streaming detokenizer: bytes in, complete characters out.

use std::sync::Arc;

use super::pieces::Pieces;

/// Turns a growing token sequence into text, holding back incomplete UTF-8.
///
/// The concatenation of everything returned equals [`super::Tokenizer::decode`] of the whole sequence.
#[derive(Debug, Clone)]
pub struct DecodeStream {
    pieces: Arc<Pieces>,
    skip_special_tokens: bool,
    /// Bytes of a character that is not complete yet, at most three.
    held: Vec<u8>,
    at_start: bool,
}

impl DecodeStream {
    pub(super) fn new(pieces: Arc<Pieces>, skip_special_tokens: bool) -> Self {
        Self {
            pieces,
            skip_special_tokens,
            held: Vec::new(),
            at_start: true,
        }
    }

    /// The same decoder, keeping a first space that its vocabulary would drop.
    #[must_use]
    pub fn verbatim(self) -> Self {
        Self {
            at_start: false,
            ..self
        }
    }

    /// Appends a token; returns the text that became final. Unknown ids add nothing.
    pub fn push(&mut self, token: u32) -> String {
        if self.skip_special_tokens && self.pieces.is_special(token) {
            return String::new();
        }
        let mut bytes = self.pieces.bytes(token);
        if bytes.is_empty() {
            return String::new();
        }
        if std::mem::take(&mut self.at_start) && self.pieces.drop_first_space {
            bytes = bytes.strip_prefix(b" ").unwrap_or(bytes);
        }
        self.held.extend_from_slice(bytes);
        self.take_complete()
    }

    /// Whether part of a character is held back that `token` does not continue: it will show as a replacement character
    /// before the token's own text.
    #[must_use]
    pub fn is_broken_by(&self, token: u32) -> bool {
        let skipped = self.skip_special_tokens && self.pieces.is_special(token);
        let first = self.pieces.bytes(token).first();
        !self.held.is_empty() && !skipped && first.is_some_and(|byte| byte & 0b1100_0000 != 0b1000_0000)
    }

    /// Text still held back, invalid bytes replaced.
    pub fn finish(&mut self) -> String {
        String::from_utf8_lossy(&std::mem::take(&mut self.held)).into_owned()
    }

    fn take_complete(&mut self) -> String {
        let mut text = String::new();
        let mut complete = 0;
        for chunk in self.held.utf8_chunks() {
            text.push_str(chunk.valid());
            complete += chunk.valid().len();
            let at_end = complete + chunk.invalid().len() == self.held.len();
            if at_end && may_continue(chunk.invalid()) {
                break;
            }
            if !chunk.invalid().is_empty() {
                text.push(char::REPLACEMENT_CHARACTER);
                complete += chunk.invalid().len();
            }
        }
        self.held.drain(..complete);
        text
    }
}

/// True for the beginning of a character whose further bytes may still come.
fn may_continue(bytes: &[u8]) -> bool {
    matches!(std::str::from_utf8(bytes), Err(error) if error.error_len().is_none())
}
