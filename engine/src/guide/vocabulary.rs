//! The vocabulary as the grammar engine wants it: the bytes of every token, to be put into a prefix tree.

use std::sync::Arc;

use llguidance::toktrie::{ApproximateTokEnv, TokEnv, TokRxInfo, TokTrie};
use serde::{Deserialize, Serialize};

use crate::text::Tokenizer;

/// The bytes of every token, and which of them end a text.
#[derive(Serialize, Deserialize)]
pub(super) struct Vocabulary {
    /// By token id; tokens that only pad the embedding have no bytes and are never allowed.
    words: Vec<Vec<u8>>,
    /// At least one.
    eos: Vec<u32>,
}

impl Vocabulary {
    /// That of `tokenizer`; `None` if it has no end-of-sequence token, without which a guided text cannot end.
    pub(super) fn of(tokenizer: &Tokenizer) -> Option<Self> {
        let size = u32::try_from(tokenizer.vocab_size()).ok()?;
        let eos: Vec<u32> = tokenizer.eos_ids().iter().copied().filter(|id| *id < size).collect();
        let words = (0..size).map(|id| {
            let (_, bytes) = tokenizer.token_text(id);
            if tokenizer.is_special(id) && !bytes.is_empty() {
                // The marker keeps control tokens apart from the text that spells their names.
                [&[TokTrie::SPECIAL_TOKEN_MARKER], bytes.as_slice()].concat()
            } else {
                bytes
            }
        });
        (!eos.is_empty()).then(|| Self {
            words: words.collect(),
            eos,
        })
    }

    /// The prefix tree over it. Takes milliseconds and megabytes.
    pub(super) fn environment(&self) -> Option<TokEnv> {
        let shape = TokRxInfo::new(u32::try_from(self.words.len()).ok()?, *self.eos.first()?);
        let trie = TokTrie::from(&shape, &self.words).with_eos_tokens(&self.eos);
        // Not canonical: the policy chooses among all ways to spell a text, none is forced on it.
        Some(Arc::new(ApproximateTokEnv::new(trie)))
    }

    /// The bytes, and the control tokens under ids of their own: all that the reading of a grammar can tell apart.
    pub(super) fn letters(&self) -> Self {
        let bytes = (0..=u8::MAX).map(|byte| vec![byte]);
        let control = |word: &&Vec<u8>| word.first() == Some(&TokTrie::SPECIAL_TOKEN_MARKER);
        let mut words: Vec<Vec<u8>> = bytes.chain(self.words.iter().filter(control).cloned()).collect();
        let ends = self.eos.iter().filter_map(|id| self.words.get(*id as usize));
        let eos = ends.filter_map(|end| words.iter().position(|word| word == end));
        let eos: Vec<u32> = eos.filter_map(|at| u32::try_from(at).ok()).collect();
        if eos.is_empty() {
            // An end without text.
            words.push(Vec::new());
        }
        let last = u32::try_from(words.len() - 1).unwrap_or(0);
        Self {
            eos: if eos.is_empty() { vec![last] } else { eos },
            words,
        }
    }
}
