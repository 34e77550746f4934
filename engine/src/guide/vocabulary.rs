//! The vocabulary as the grammar engine wants it: the bytes of every token in a prefix tree.

use std::sync::Arc;

use llguidance::toktrie::{ApproximateTokEnv, TokEnv, TokRxInfo, TokTrie};

use crate::text::Tokenizer;

/// The vocabulary of `tokenizer`; `None` if it has no end-of-sequence token, without which a guided text cannot end.
/// Tokens that only pad the embedding have no bytes and are never allowed.
pub(super) fn vocabulary(tokenizer: &Tokenizer) -> Option<TokEnv> {
    let size = u32::try_from(tokenizer.vocab_size()).ok()?;
    let eos: Vec<u32> = tokenizer.eos_ids().iter().copied().filter(|id| *id < size).collect();
    let shape = TokRxInfo::new(size, *eos.first()?);
    let words: Vec<Vec<u8>> = (0..size)
        .map(|id| {
            let (_, bytes) = tokenizer.token_text(id);
            if tokenizer.is_special(id) && !bytes.is_empty() {
                // The marker keeps control tokens apart from the text that spells their names.
                [&[TokTrie::SPECIAL_TOKEN_MARKER], bytes.as_slice()].concat()
            } else {
                bytes
            }
        })
        .collect();
    let trie = TokTrie::from(&shape, &words).with_eos_tokens(&eos);
    // Not canonical: the policy chooses among all ways to spell a text, none is forced on it.
    Some(Arc::new(ApproximateTokEnv::new(trie)))
}
