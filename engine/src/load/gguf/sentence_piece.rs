//! SentencePiece vocabularies (Llama 2, Mistral) as byte-fallback BPE.

use serde_json::{Map, Value as Json, json};

use super::reader::Content;
use super::vocabulary;

/// Longest token whose splits are looked at, in characters; real ones have at most 48.
const MAX_TOKEN_CHARS: usize = 512;

/// The `tokenizer.json` of a SentencePiece model given by tokens and scores.
pub(super) fn tokenizer(content: &Content, tokens: &[String], vocab: Map<String, Json>) -> Result<Json, String> {
    let scores = vocabulary::scores(content, tokens.len())?;
    let merges = merges(tokens, &scores, &vocab);
    let prefixes = content.flag("tokenizer.ggml.add_space_prefix").unwrap_or(true);
    let replace = json!({"type": "Replace", "pattern": {"String": " "}, "content": "▁"});
    let mut normalizers = vec![replace];
    let mut decoders = vec![
        json!({"type": "Replace", "pattern": {"String": "▁"}, "content": " "}),
        json!({"type": "ByteFallback"}),
        json!({"type": "Fuse"}),
    ];
    if prefixes {
        normalizers.insert(0, json!({"type": "Prepend", "prepend": "▁"}));
        decoders.push(json!({"type": "Strip", "content": " ", "start": 1, "stop": 0}));
    }
    let unknown = content
        .unsigned("tokenizer.ggml.unknown_token_id")
        .and_then(|id| usize::try_from(id).ok());
    let unknown = unknown.and_then(|id| tokens.get(id)).or(tokens.first());
    Ok(json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": [],
        "normalizer": {"type": "Sequence", "normalizers": normalizers},
        "pre_tokenizer": null, "post_processor": null,
        "decoder": {"type": "Sequence", "decoders": decoders},
        "model": {"type": "BPE", "dropout": null, "unk_token": unknown, "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "fuse_unk": true, "byte_fallback": true, "ignore_merges": false,
            "vocab": vocab, "merges": merges},
    }))
}

/// Every way to make a token of two others, best token first: merging in this order is what SentencePiece's greedy
/// search by score does.
fn merges<'a>(tokens: &'a [String], scores: &[f64], vocab: &Map<String, Json>) -> Vec<(&'a str, &'a str)> {
    let id = |piece: &str| vocab.get(piece).and_then(Json::as_u64);
    let mut found = Vec::new();
    for (token, &score) in tokens.iter().zip(scores) {
        if token.chars().count() > MAX_TOKEN_CHARS {
            continue;
        }
        for (at, _) in token.char_indices().skip(1) {
            let (left, right) = token.split_at(at);
            if let (Some(left_id), Some(right_id)) = (id(left), id(right)) {
                found.push((score, left_id, right_id, (left, right)));
            }
        }
    }
    found.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)).then(a.2.cmp(&b.2)));
    found.into_iter().map(|(.., pair)| pair).collect()
}
