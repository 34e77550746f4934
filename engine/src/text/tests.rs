use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn bytes_only() -> Tokenizer {
    Tokenizer::bytes_only().unwrap()
}

/// A SentencePiece-like tokenizer of 265 tokens: bytes as `<0xNN>`, a few words, a dropped first space.
pub(crate) fn sentence_piece() -> Tokenizer {
    let mut vocab = serde_json::Map::new();
    for (id, token) in ["<unk>", "<s>", "</s>"].iter().enumerate() {
        vocab.insert((*token).into(), json!(id));
    }
    for byte in 0..256 {
        vocab.insert(format!("<0x{byte:02X}>"), json!(3 + byte));
    }
    for (at, token) in ["▁", "a", "b", "▁a", "ab", "é"].iter().enumerate() {
        vocab.insert((*token).into(), json!(259 + at));
    }
    let added: Vec<Value> = (0..3)
        .map(|id| added_token(id, ["<unk>", "<s>", "</s>"][id as usize], true))
        .collect();
    let tokenizer = json!({
        "version": "1.0", "truncation": {"direction": "Right", "max_length": 2, "strategy": "LongestFirst", "stride": 0},
        "padding": null, "added_tokens": added,
        "normalizer": {"type": "Sequence", "normalizers": [
            {"type": "Prepend", "prepend": "▁"}, {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}]},
        "pre_tokenizer": null,
        "post_processor": {"type": "TemplateProcessing",
            "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
            "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": {"<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]}}},
        "decoder": {"type": "Sequence", "decoders": [
            {"type": "Replace", "pattern": {"String": "▁"}, "content": " "}, {"type": "ByteFallback"},
            {"type": "Fuse"}, {"type": "Strip", "content": " ", "start": 1, "stop": 0}]},
        "model": {"type": "BPE", "unk_token": "<unk>", "fuse_unk": true, "byte_fallback": true,
            "vocab": vocab, "merges": [["▁", "a"], ["a", "b"]]},
    });
    let config = json!({"bos_token": {"content": "<s>"}, "eos_token": "</s>"});
    Tokenizer::from_json(
        tokenizer.to_string().as_bytes(),
        Some(config.to_string().as_bytes()),
        &[2],
    )
    .unwrap()
}

#[test]
fn bytes_only_encodes_and_ends_where_it_says() {
    let tokenizer = bytes_only();
    assert_eq!(tokenizer.encode("Hi é", true).unwrap(), [72, 105, 32, 0xC3, 0xA9]);
    assert_eq!(tokenizer.vocab_size(), 259);
    assert_eq!(tokenizer.eos_ids(), [256, 258]);
    assert_eq!(tokenizer.token_text(0xC3), ("\u{FFFD}".to_owned(), vec![0xC3]));
    assert_eq!(
        tokenizer.token_text(258),
        ("<|im_end|>".to_owned(), b"<|im_end|>".to_vec())
    );
    assert_eq!(tokenizer.token_text(999), (String::new(), Vec::new()));
    let chat = tokenizer
        .encode_chat(&[ChatMessage::new("user", "1+1?")], true)
        .unwrap();
    assert_eq!(chat[0], 257);
    let shown = tokenizer.decode(&chat, false).unwrap();
    assert_eq!(shown, "<|im_start|>user\n1+1?<|im_end|>\n<|im_start|>assistant\n");
    assert_eq!(tokenizer.decode(&chat, true).unwrap(), "user\n1+1?\nassistant\n");
}

#[test]
fn sentence_piece_spells_spaces_and_bytes() {
    let tokenizer = sentence_piece();
    // Longer than the file's truncation of 2, which must not apply.
    let ids = tokenizer.encode("a ab é €", true).unwrap();
    assert_eq!(ids, [1, 262, 262, 261, 259, 264, 259, 3 + 0xE2, 3 + 0x82, 3 + 0xAC]);
    assert_eq!(tokenizer.decode(&ids, true).unwrap(), "a ab é €");
    assert_eq!(tokenizer.decode(&ids, false).unwrap(), "<s> a ab é €");
    assert_eq!(tokenizer.bos_id(), Some(1));
    assert_eq!(tokenizer.eos_ids(), [2]);
}

#[test]
fn what_goes_on_in_a_text_adds_its_part_of_it() {
    for tokenizer in [bytes_only(), sentence_piece()] {
        let ids = tokenizer.encode("a ab a b", true).unwrap();
        let whole = tokenizer.decode(&ids, true).unwrap();
        for cut in 1..ids.len() {
            // A prompt that is only the token in front has no text, and so no space between it and the answer.
            let prompt = tokenizer.decode(&ids[..cut], true).unwrap();
            let mut stream = tokenizer.stream().verbatim();
            let answer: String = ids[cut..].iter().map(|id| stream.push(*id)).collect();
            let together = prompt.clone() + &answer;
            assert_eq!(together.trim_start(), whole, "{cut}");
            assert!(prompt.is_empty() || together == whole, "{cut}: {together}");
        }
    }
}

#[test]
fn an_unknown_token_is_an_error_in_decode_and_nothing_in_a_stream() {
    let tokenizer = bytes_only();
    assert!(matches!(
        tokenizer.decode(&[65, 259], true),
        Err(TextError::UnknownToken {
            id: 259,
            vocab_size: 259
        })
    ));
    assert_eq!(tokenizer.stream().push(259), "");
}

proptest! {
    #[test]
    fn streamed_text_is_the_decoded_text(ids in prop::collection::vec(0u32..259, 0..60), skip: bool) {
        let tokenizer = bytes_only();
        let mut stream = tokenizer.stream_with(skip);
        let mut text: String = ids.iter().map(|&id| stream.push(id)).collect();
        text.push_str(&stream.finish());
        prop_assert_eq!(&text, &tokenizer.decode(&ids, skip).unwrap());
        let inner = tokenizers::Tokenizer::from_bytes(&tokenizer.files().tokenizer_json).unwrap();
        prop_assert_eq!(text, inner.decode(&ids, skip).unwrap());
    }

    #[test]
    fn text_survives_the_round_trip(text in "\\PC{0,40}", cut in 0usize..200) {
        for tokenizer in [bytes_only(), sentence_piece()] {
            let ids = tokenizer.encode(&text, false).unwrap();
            prop_assert_eq!(tokenizer.decode(&ids, false).unwrap(), text.clone());
            // A stream shows only whole characters: a prefix of the text, never a replacement of what is still to come.
            let mut stream = tokenizer.stream();
            let shown: String = ids.iter().take(cut).map(|&id| stream.push(id)).collect();
            prop_assert!(text.starts_with(&shown), "{shown:?} of {text:?}");
        }
    }
}

#[test]
fn corrupt_tokenizers_are_errors() {
    let whole = bytes_only().files().tokenizer_json.clone();
    let json: Value = serde_json::from_slice(&whole).unwrap();
    for length in (0..whole.len()).step_by(97) {
        assert!(
            Tokenizer::from_json(&whole[..length], None, &[]).is_err(),
            "truncated to {length}"
        );
    }
    for (key, bad) in [
        ("decoder", json!(null)),
        ("decoder", json!({"type": "WordPiece", "prefix": "##", "cleanup": true})),
        ("decoder", json!(7)),
        (
            "model",
            json!({"type": "BPE", "vocab": {"a": 4_000_000_000u32}, "merges": []}),
        ),
        (
            "model",
            json!({"type": "BPE", "vocab": {"a": 0}, "merges": [["a", "b"]]}),
        ),
        ("model", json!({})),
        ("added_tokens", json!([{"id": -1}])),
        ("pre_tokenizer", json!({"type": "Unheard"})),
    ] {
        let mut broken = json.clone();
        broken[key] = bad.clone();
        let result = Tokenizer::from_json(broken.to_string().as_bytes(), None, &[]);
        assert!(matches!(result, Err(TextError::Tokenizer(_))), "{key} = {bad}");
    }
    assert!(Tokenizer::from_json(&whole, Some(b"{\"eos_token\": "), &[]).is_err());
}
