//! What a `--model` argument means.

use std::path::{Path, PathBuf};

/// Where a model comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
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
    /// Reads a `--model` argument: an existing folder, an existing `.gguf` file, else a hub id. What can only be a path
    /// (`.`, `/` or `~` first, `.gguf` last, more than one `/`) is never taken for a hub id, so that a misspelt path is
    /// reported as such.
    #[must_use]
    pub fn parse(argument: &str) -> Self {
        let path = Path::new(argument);
        let is_gguf = path
            .extension()
            .is_some_and(|extension| extension.eq_ignore_ascii_case("gguf"));
        if path.is_dir() {
            Self::Folder(path.to_path_buf())
        } else if path.is_file() || is_gguf {
            Self::Gguf(path.to_path_buf())
        } else if argument.starts_with(['.', '/', '~']) || argument.matches('/').count() > 1 {
            Self::Folder(path.to_path_buf())
        } else {
            Self::Hub(argument.to_owned())
        }
    }
}

/// The name to show for a path.
pub(super) fn last_part(path: &Path) -> String {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
    name.or_else(|| {
        path.canonicalize()
            .ok()?
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
    })
    .unwrap_or_else(|| path.display().to_string())
}
