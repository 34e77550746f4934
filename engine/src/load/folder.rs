//! A Hugging Face folder, put together from its files.

use super::config_json::{self, Fields};
use super::files::Files;
use super::{LoadError, LoadedModel, safetensors_file};
use crate::text::{TextError, Tokenizer, TokenizerFiles};

/// Files kept verbatim in [`LoadedModel::extras`].
pub(super) const EXTRAS: [&str; 3] = ["svs.json", "generation_config.json", "special_tokens_map.json"];

/// Loads the folder behind `files`.
pub(super) fn load(files: &Files, name: String) -> Result<LoadedModel, LoadError> {
    let path = files.path_of("config.json");
    let value = config_json::parse_json(&path, &files.require("config.json")?)?;
    let config = config_json::parse(&path, &value)?;
    let mut extras = Vec::new();
    for extra in EXTRAS {
        if let Some(bytes) = files.read(extra)? {
            extras.push((extra.to_owned(), bytes));
        }
    }
    let mut eos_ids = Fields::new(&path, &value)?.ids("eos_token_id")?;
    if let Some((_, bytes)) = extras.iter().find(|(extra, _)| extra == "generation_config.json") {
        let path = files.path_of("generation_config.json");
        let value = config_json::parse_json(&path, bytes)?;
        eos_ids.extend(Fields::new(&path, &value)?.ids("eos_token_id")?);
    }
    let tokenizer = tokenizer(files, &eos_ids, config.vocab_size)?;
    let params = safetensors_file::load(files, &config)?;
    Ok(LoadedModel {
        config,
        params,
        tokenizer,
        name,
        extras,
    })
}

fn tokenizer(files: &Files, eos_ids: &[u32], rows: usize) -> Result<Tokenizer, LoadError> {
    let chat_template = match files.read("chat_template.jinja")? {
        Some(bytes) => Some(
            String::from_utf8(bytes)
                .map_err(|error| LoadError::corrupt(&files.path_of("chat_template.jinja"), error))?,
        ),
        None => None,
    };
    let parts = TokenizerFiles {
        tokenizer_json: files.require("tokenizer.json")?,
        tokenizer_config: files.read("tokenizer_config.json")?,
        chat_template,
    };
    build_tokenizer(parts, eos_ids, rows, &files.path_of("tokenizer.json"))
}

/// Builds the tokenizer of a model with `rows` embedding rows and checks that both fit.
pub(super) fn build_tokenizer(
    parts: TokenizerFiles,
    eos_ids: &[u32],
    rows: usize,
    path: &str,
) -> Result<Tokenizer, LoadError> {
    let tokenizer = Tokenizer::from_files(parts, eos_ids).map_err(|error| match error {
        TextError::Tokenizer(reason) => LoadError::corrupt(path, reason),
        other => LoadError::corrupt(path, other),
    })?;
    if tokenizer.vocab_size() > rows {
        let reason = format!(
            "token ids up to {}, but the model has {rows} embedding rows",
            tokenizer.vocab_size() - 1
        );
        return Err(LoadError::corrupt(path, reason));
    }
    if let Some(id) = tokenizer.eos_ids().iter().find(|&&id| id as usize >= rows) {
        return Err(LoadError::corrupt(
            path,
            format!("`eos_token_id` {id}, but the model has {rows} embedding rows"),
        ));
    }
    Ok(tokenizer.covering(rows))
}
