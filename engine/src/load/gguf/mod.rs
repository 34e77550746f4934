//! GGUF files: weights dequantised to f32, config, tokenizer and chat template rebuilt from the metadata.

mod arch;
mod reader;
mod sentence_piece;
mod tensors;
mod vocabulary;

use std::path::Path;

use super::{LoadError, LoadedModel, files, folder};
use reader::Content;

/// Loads a GGUF file.
pub(super) fn load(path: &Path) -> Result<LoadedModel, LoadError> {
    let shown = path.display().to_string();
    let bytes = files::map(path)?;
    let content = Content::parse(bytes.as_ref()).map_err(|reason| LoadError::corrupt(&shown, reason))?;
    let mut config = arch::config(&shown, &content)?;
    if let Some(divisors) = tensors::rope_divisors(bytes.as_ref(), &content)? {
        config.rope.scaling = arch::scaling_of_divisors(&divisors, &config)?;
    }
    let vocabulary = vocabulary::rebuild(&shown, &content)?;
    let tokenizer = folder::build_tokenizer(vocabulary.files, &vocabulary.eos_ids, config.vocab_size, &shown)?;
    let params = tensors::load(bytes.as_ref(), &content, &config)?;
    let stem = path
        .file_stem()
        .map_or_else(|| shown.clone(), |stem| stem.to_string_lossy().into_owned());
    Ok(LoadedModel {
        config,
        params,
        tokenizer,
        name: stem,
        extras: Vec::new(),
    })
}

/// Tokenizer files and end ids of a file without regard to its weights.
#[cfg(test)]
pub(super) fn vocabulary_of(bytes: &[u8]) -> Result<(crate::text::TokenizerFiles, Vec<u32>), LoadError> {
    let content = Content::parse(bytes).map_err(|reason| LoadError::corrupt("test", reason))?;
    vocabulary::rebuild("test", &content).map(|vocabulary| (vocabulary.files, vocabulary.eos_ids))
}
