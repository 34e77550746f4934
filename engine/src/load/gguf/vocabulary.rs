//! Rebuilds `tokenizer.json` and `tokenizer_config.json` from GGUF metadata.

use serde_json::{Map, Value as Json, json};

use super::reader::{Content, Value};
use super::sentence_piece;
use crate::load::LoadError;
use crate::text::{TokenizerFiles, added_token};

/// GPT-2's splitting, extended as Llama 3 and Qwen2 do; they differ only in how many digits stay together.
const SPLIT_BEFORE_DIGITS: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|";
const SPLIT_AFTER_DIGITS: &str = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// What ggml knows about a token's role.
const CONTROL: u64 = 3;
const USER_DEFINED: u64 = 4;

/// A tokenizer's files and the ids that end a generation.
pub(super) struct Vocabulary {
    pub(super) files: TokenizerFiles,
    pub(super) eos_ids: Vec<u32>,
}

/// Rebuilds the tokenizer of the file at `path`.
pub(super) fn rebuild(path: &str, content: &Content) -> Result<Vocabulary, LoadError> {
    let corrupt = |reason: String| LoadError::corrupt(path, reason);
    let tokens = texts(content, "tokenizer.ggml.tokens").map_err(corrupt)?;
    let vocab = numbered(&tokens).map_err(corrupt)?;
    let kinds: Vec<u64> = match content.list("tokenizer.ggml.token_type") {
        Some(kinds) => kinds.iter().map(|kind| kind.unsigned().unwrap_or(1)).collect(),
        None => vec![1; tokens.len()],
    };
    let mut tokenizer = match content.text("tokenizer.ggml.model").unwrap_or("none") {
        "gpt2" => byte_level(content, vocab).map_err(corrupt)??,
        "llama" => sentence_piece::tokenizer(content, &tokens, vocab).map_err(corrupt)?,
        other => {
            return Err(LoadError::Unsupported(format!(
                "GGUF tokenizer `{other}` (supported: gpt2, llama)"
            )));
        }
    };
    let added: Vec<Json> = (0u32..)
        .zip(tokens.iter().zip(&kinds))
        .filter(|(_, (_, kind))| matches!(**kind, CONTROL | USER_DEFINED))
        .map(|(id, (token, kind))| added_token(id, token, *kind == CONTROL))
        .collect();
    tokenizer["added_tokens"] = json!(added);
    let named = |key: &str| {
        let id = content.unsigned(&format!("tokenizer.ggml.{key}_token_id"))?;
        Some((u32::try_from(id).ok()?, tokens.get(usize::try_from(id).ok()?)?.clone()))
    };
    let default_bos = matches!(content.text("tokenizer.ggml.pre"), Some("llama-bpe" | "llama3"))
        || content.text("tokenizer.ggml.model") == Some("llama");
    let adds_bos = content.flag("tokenizer.ggml.add_bos_token").unwrap_or(default_bos);
    tokenizer["post_processor"] = match named("bos").filter(|_| adds_bos) {
        Some((id, token)) => begin_with(id, &token),
        None => Json::Null,
    };
    let mut config = json!({"tokenizer_class": "PreTrainedTokenizerFast", "add_bos_token": adds_bos});
    for (key, name) in [
        ("bos", "bos_token"),
        ("eos", "eos_token"),
        ("unknown", "unk_token"),
        ("padding", "pad_token"),
    ] {
        if let Some((_, token)) = named(key) {
            config[name] = json!(token);
        }
    }
    if let Some(template) = content.text("tokenizer.chat_template") {
        config["chat_template"] = json!(template);
    }
    let eos_ids = ["eos", "eot", "eom"]
        .into_iter()
        .filter_map(|key| Some(named(key)?.0))
        .collect();
    let files = TokenizerFiles {
        tokenizer_json: tokenizer.to_string().into_bytes(),
        tokenizer_config: Some(config.to_string().into_bytes()),
        chat_template: None,
    };
    Ok(Vocabulary { files, eos_ids })
}

fn texts(content: &Content, key: &str) -> Result<Vec<String>, String> {
    let list = content
        .list(key)
        .ok_or_else(|| format!("metadata `{key}` is missing"))?;
    let texts: Option<Vec<String>> = list.iter().map(|value| value.as_text().map(str::to_owned)).collect();
    texts.ok_or_else(|| format!("metadata `{key}` is not a list of strings"))
}

fn numbered(tokens: &[String]) -> Result<Map<String, Json>, String> {
    let mut vocab = Map::new();
    for (id, token) in tokens.iter().enumerate() {
        if vocab.insert(token.clone(), json!(id)).is_some() {
            return Err(format!("token {id} `{token}` is in the vocabulary twice"));
        }
    }
    Ok(vocab)
}

type Refused = Result<Json, LoadError>;

fn byte_level(content: &Content, vocab: Map<String, Json>) -> Result<Refused, String> {
    let merges = texts(content, "tokenizer.ggml.merges")?;
    let pairs: Option<Vec<(&str, &str)>> = merges.iter().map(|merge| merge.split_once(' ')).collect();
    let pairs = pairs.ok_or("metadata `tokenizer.ggml.merges` has an entry without two parts")?;
    let split = |digits: &str| {
        let pattern = format!("{SPLIT_BEFORE_DIGITS}{digits}{SPLIT_AFTER_DIGITS}");
        json!({"type": "Sequence", "pretokenizers": [
            {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": false},
            byte_level_step(false)]})
    };
    let (normalizer, pre_tokenizer, whole_words_first) = match content.text("tokenizer.ggml.pre").unwrap_or("default") {
        "default" | "gpt-2" => (Json::Null, byte_level_step(true), false),
        "smollm" => {
            let digits = json!({"type": "Digits", "individual_digits": true});
            (
                Json::Null,
                json!({"type": "Sequence", "pretokenizers": [digits, byte_level_step(true)]}),
                false,
            )
        }
        "llama-bpe" | "llama3" | "llama-v3" => (Json::Null, split(r"\p{N}{1,3}"), true),
        "qwen2" => (json!({"type": "NFC"}), split(r"\p{N}"), false),
        other => {
            let known = "supported: default, gpt-2, smollm, llama-bpe, qwen2";
            return Ok(Err(LoadError::Unsupported(format!(
                "GGUF pre-tokenizer `{other}` ({known})"
            ))));
        }
    };
    Ok(Ok(json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": [],
        "normalizer": normalizer, "pre_tokenizer": pre_tokenizer, "post_processor": null,
        "decoder": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true},
        "model": {"type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false, "ignore_merges": whole_words_first,
            "vocab": vocab, "merges": pairs},
    })))
}

fn byte_level_step(splits_words: bool) -> Json {
    json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": splits_words})
}

fn begin_with(id: u32, token: &str) -> Json {
    let bos = json!({"SpecialToken": {"id": token, "type_id": 0}});
    json!({"type": "TemplateProcessing",
        "single": [bos, {"Sequence": {"id": "A", "type_id": 0}}],
        "pair": [bos, {"Sequence": {"id": "A", "type_id": 0}}, bos, {"Sequence": {"id": "B", "type_id": 1}}],
        "special_tokens": {token: {"id": token, "ids": [id], "tokens": [token]}}})
}

/// The scores of a SentencePiece vocabulary, one per token.
pub(super) fn scores(content: &Content, tokens: usize) -> Result<Vec<f64>, String> {
    let key = "tokenizer.ggml.scores";
    let list = content
        .list(key)
        .ok_or_else(|| format!("metadata `{key}` is missing"))?;
    let number = |value: &Value| match value {
        Value::Float(score) if !score.is_nan() => Some(*score),
        _ => None,
    };
    let scores: Option<Vec<f64>> = list.iter().map(number).collect();
    scores
        .filter(|scores| scores.len() == tokens)
        .ok_or_else(|| format!("`{key}` is not one number per token"))
}
