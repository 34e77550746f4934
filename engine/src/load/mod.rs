//! Reads and writes models: Hugging Face folders, hub ids, GGUF files, folders embedded in the binary.
//!
//! Everything arrives as [`ModelConfig`] plus f32 master [`Params`]; formats end here. File contents are not trusted:
//! every length, name and shape is checked before it is used.

mod allowed;
mod config_json;
mod files;
mod folder;
mod gguf;
mod hub;
pub mod lora;
mod rope;
mod safetensors_file;
mod save;
mod shape;
mod source;
mod weights;

#[cfg(test)]
mod tests;

use std::path::Path;

use crate::config::ModelConfig;
use crate::params::Params;
use crate::text::Tokenizer;

pub use allowed::AllowedFolder;
pub use save::save;
pub use source::ModelSource;
pub use weights::load_weights;

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
    /// Further files of the folder as (file name, bytes), written back verbatim by [`save`]: `svs.json` (the model's own
    /// prompt wording), `generation_config.json`, `special_tokens_map.json`.
    pub extras: Vec<(String, Vec<u8>)>,
}

impl LoadedModel {
    /// The extra file called `name`.
    #[must_use]
    pub fn extra(&self, name: &str) -> Option<&[u8]> {
        self.extras
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, bytes)| bytes.as_slice())
    }
}

/// Errors of loading and saving; each names the file and what to do.
#[derive(Debug, Clone, thiserror::Error)]
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

impl LoadError {
    fn file(path: &Path, reason: impl std::fmt::Display) -> Self {
        Self::File {
            path: path.display().to_string(),
            reason: reason.to_string(),
        }
    }

    fn corrupt(path: &str, reason: impl std::fmt::Display) -> Self {
        Self::Corrupt {
            path: path.to_owned(),
            reason: reason.to_string(),
        }
    }

    fn tensor(name: &str, reason: impl std::fmt::Display) -> Self {
        Self::Tensor {
            name: name.to_owned(),
            reason: reason.to_string(),
        }
    }
}

/// Loads a model.
///
/// # Errors
/// Any [`LoadError`].
pub fn load(source: &ModelSource) -> Result<LoadedModel, LoadError> {
    match source {
        ModelSource::Folder(path) => folder::load(&files::Files::Folder(path.clone()), source::last_part(path)),
        ModelSource::Embedded(files) => folder::load(&files::Files::Embedded(files.clone()), "embedded".to_owned()),
        ModelSource::Hub(id) => folder::load(&files::Files::Folder(hub::fetch(id)?), id.clone()),
        ModelSource::Gguf(path) => gguf::load(path),
    }
}
