//! A tokenizer that needs no file: one token per byte and three control tokens. For tests and for models made from scratch.

use serde_json::json;

use super::{TextError, Tokenizer, byte_to_char};

/// The ChatML template: every turn is `<|im_start|>role\ncontent<|im_end|>\n`.
pub const CHATML: &str = "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";

impl Tokenizer {
    /// Token `b` is the byte `b`; 256 is `<|endoftext|>`, 257 `<|im_start|>`, 258 `<|im_end|>` (end of generation, as is
    /// 256). Chats use the ChatML template.
    ///
    /// # Errors
    /// None that a caller can cause; the signature follows [`Tokenizer::from_json`].
    pub fn bytes_only() -> Result<Self, TextError> {
        let mut vocab = serde_json::Map::new();
        for byte in 0..=u8::MAX {
            vocab.insert(byte_to_char(byte).to_string(), json!(byte));
        }
        let control = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"];
        let added: Vec<_> = control
            .iter()
            .zip(256..)
            .map(|(content, id)| added_token(id, content, true))
            .collect();
        let tokenizer = json!({
            "version": "1.0",
            "truncation": null,
            "padding": null,
            "added_tokens": added,
            "normalizer": null,
            "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true},
            "post_processor": null,
            "decoder": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true},
            "model": {"type": "BPE", "vocab": vocab, "merges": []},
        });
        let config = json!({
            "tokenizer_class": "PreTrainedTokenizerFast",
            "eos_token": "<|im_end|>",
            "pad_token": "<|endoftext|>",
            "chat_template": CHATML,
        });
        Self::from_json(
            tokenizer.to_string().as_bytes(),
            Some(config.to_string().as_bytes()),
            &[256],
        )
    }
}

/// An entry of `added_tokens`; special ones are control tokens, which decoding skips.
pub(crate) fn added_token(id: u32, content: &str, special: bool) -> serde_json::Value {
    json!({
        "id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false,
        "normalized": false, "special": special,
    })
}
