//! SentencePiece vocabularies and pre-tokenizers of GGUF files.

use candle_core::quantized::gguf_file::Value;
use candle_core::quantized::{GgmlDType, QTensor};
use candle_core::{Device, Tensor};

use super::gguf_fixture::{Metadata, text, texts, write};
use crate::load::gguf;
use crate::text::Tokenizer;

/// The tokenizer of a file with the given metadata and no weights.
fn tokenizer(metadata: &Metadata) -> Tokenizer {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("text.gguf");
    let unused = Tensor::zeros(1, candle_core::DType::F32, &Device::Cpu).unwrap();
    write(
        &path,
        metadata,
        &[("x".into(), QTensor::quantize(&unused, GgmlDType::F32).unwrap())],
    );
    let vocabulary = gguf::vocabulary_of(&std::fs::read(&path).unwrap()).unwrap();
    Tokenizer::from_files(vocabulary.0, &vocabulary.1).unwrap()
}

#[test]
fn sentence_piece_merges_follow_the_scores() {
    let mut tokens: Vec<String> = vec!["<unk>".into(), "<s>".into(), "</s>".into()];
    tokens.extend((0..256).map(|byte| format!("<0x{byte:02X}>")));
    // Ids from 259. "▁ab" scores better than "bc", so "abc" is ▁ab + c.
    let pieces = [
        ("▁", -9.0),
        ("a", -9.0),
        ("b", -9.0),
        ("c", -9.0),
        ("ab", -1.0),
        ("▁ab", -2.0),
        ("bc", -3.0),
    ];
    tokens.extend(pieces.iter().map(|(piece, _)| (*piece).to_owned()));
    let mut scores = vec![Value::F32(0.0); 259];
    scores.extend(pieces.iter().map(|(_, score)| Value::F32(*score)));
    let kinds = (0..tokens.len()).map(|id| {
        Value::I32(match id {
            0 => 2,
            1 | 2 => 3,
            3..259 => 6,
            _ => 1,
        })
    });
    let metadata: Metadata = vec![
        ("tokenizer.ggml.model".into(), text("llama")),
        ("tokenizer.ggml.tokens".into(), texts(tokens.iter().map(String::as_str))),
        ("tokenizer.ggml.scores".into(), Value::Array(scores)),
        ("tokenizer.ggml.token_type".into(), Value::Array(kinds.collect())),
        ("tokenizer.ggml.bos_token_id".into(), Value::U32(1)),
        ("tokenizer.ggml.eos_token_id".into(), Value::U32(2)),
    ];
    let tokenizer = tokenizer(&metadata);
    assert_eq!(tokenizer.encode("abc", true).unwrap(), [1, 264, 262]);
    assert_eq!(
        tokenizer.encode("cbc é", true).unwrap(),
        [1, 259, 262, 265, 259, 3 + 0xC3, 3 + 0xA9]
    );
    for text in ["abc", " abc  cab é\n"] {
        let ids = tokenizer.encode(text, true).unwrap();
        assert_eq!(tokenizer.decode(&ids, true).unwrap(), text);
    }
    assert_eq!(tokenizer.eos_ids(), [2]);
}

#[test]
fn pre_tokenizers_split_as_their_models_do() {
    let mut tokens: Vec<String> = (0..=255u8)
        .map(|byte| crate::text::byte_to_char(byte).to_string())
        .collect();
    // Digits merge wherever the splitting lets them.
    let merges = ["1 1", "11 11", "11 1", "! Ċ"];
    tokens.extend(merges.iter().map(|merge| merge.replace(' ', "")));
    tokens.extend(["<s>".to_owned(), "e\u{301}".to_owned()]);
    for (pre, text_in, expected) in [
        ("default", "1111", vec![257]),
        ("gpt-2", "1111", vec![257]),
        ("smollm", "1111", vec![49, 49, 49, 49]),
        ("qwen2", "1111", vec![49, 49, 49, 49]),
        ("llama-bpe", "1111", vec![260, 258, 49]),
        // GPT-2 splits punctuation from a line break, its successors do not.
        ("gpt-2", "!\n", vec![33, 10]),
        ("qwen2", "!\n", vec![259]),
        // Qwen2 composes characters first.
        ("gpt-2", "e\u{301}", vec![101, 0xCC, 0x81]),
        ("qwen2", "e\u{301}", vec![0xC3, 0xA9]),
    ] {
        let metadata: Metadata = vec![
            ("tokenizer.ggml.model".into(), text("gpt2")),
            ("tokenizer.ggml.pre".into(), text(pre)),
            ("tokenizer.ggml.tokens".into(), texts(tokens.iter().map(String::as_str))),
            ("tokenizer.ggml.merges".into(), texts(merges)),
            ("tokenizer.ggml.bos_token_id".into(), Value::U32(260)),
        ];
        let tokenizer = tokenizer(&metadata);
        assert_eq!(tokenizer.encode(text_in, true).unwrap(), expected, "{pre} {text_in:?}");
    }
}
