//! Reads and writes models: Hugging Face folders, hub ids, GGUF files, folders embedded in the binary.

use std::path::{Path, PathBuf};

use crate::config::ModelConfig;
use crate::params::Params;
use crate::text::Tokenizer;

/// Where a model comes from.
#[derive(Debug, Clone)]
pub enum ModelSource {
    /// A Hugging Face folder.
    Folder(PathBuf),
    /// A GGUF file.
    Gguf(PathBuf),
    /// A hub id such as `org/name`, optionally `@revision`.
    Hub(String),
    /// Files of a Hugging Face folder held in memory: (file name, bytes).
    Embedded(Vec<(&'static str, &'static [u8])>),
}

impl ModelSource {
    /// Reads a `--model` argument: an existing folder, an existing `.gguf` file, else a hub id.
    #[must_use]
    pub fn parse(_argument: &str) -> Self {
        unimplemented!()
    }
}

/// A model in memory.
#[derive(Debug, Clone)]
pub struct LoadedModel {
    /// Shape.
    pub config: ModelConfig,
    /// Master parameters.
    pub params: Params,
    /// Tokenizer, template and special tokens.
    pub tokenizer: Tokenizer,
    /// Name to show: last part of the path or the hub id.
    pub name: String,
}

/// Errors of loading and saving; each names the file and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// A file is missing, unreadable or cannot be written.
    #[error("{path}: {reason}")]
    File {
        /// The file.
        path: String,
        /// What happened.
        reason: String,
    },
    /// A file is corrupt or truncated.
    #[error("{path}: corrupt: {reason}")]
    Corrupt {
        /// The file.
        path: String,
        /// What was found.
        reason: String,
    },
    /// A tensor is missing or has another shape than the config says.
    #[error("tensor `{name}`: {reason}")]
    Tensor {
        /// Its name.
        name: String,
        /// What was expected and found.
        reason: String,
    },
    /// The architecture or a feature of it is not supported.
    #[error("unsupported model: {0}")]
    Unsupported(String),
    /// The hub could not be reached or refused.
    #[error("hub `{id}`: {reason}; give a local folder or a .gguf file instead")]
    Hub {
        /// The hub id.
        id: String,
        /// What happened.
        reason: String,
    },
}

/// Loads a model.
///
/// # Errors
/// Any [`LoadError`].
pub fn load(_source: &ModelSource) -> Result<LoadedModel, LoadError> {
    unimplemented!()
}

/// Writes `model` as a Hugging Face folder that `load` and `transformers` read, atomically (temporary folder, fsync, rename).
///
/// # Errors
/// [`LoadError::File`].
pub fn save(_folder: &Path, _model: &LoadedModel, _params: &Params) -> Result<(), LoadError> {
    unimplemented!()
}
