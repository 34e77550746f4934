//! A folder of adapters or weights to load. One named by a request is confined to the folder that the operator allows.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::LoadError;

/// Where files to load lie, with all links resolved.
#[derive(Debug, Clone)]
pub struct AllowedFolder {
    folder: PathBuf,
    /// No file may lie outside of it, also through a link.
    root: Option<PathBuf>,
    /// The path as its caller wrote it, for messages: what surrounds an allowed folder is nobody's business.
    shown: String,
}

impl AllowedFolder {
    /// A folder named by the operator, anywhere.
    ///
    /// # Errors
    /// [`LoadError::File`] if there is none.
    pub fn anywhere(path: &Path) -> Result<Self, LoadError> {
        let folder = path.canonicalize().map_err(|error| LoadError::file(path, error))?;
        Ok(Self {
            folder,
            root: None,
            shown: path.display().to_string(),
        })
    }

    /// A folder inside `root`: relative to it, or absolute. The answer is the same for paths that lie outside and for
    /// those that do not exist.
    ///
    /// # Errors
    /// [`LoadError::File`] for anything but a folder inside `root`.
    pub fn inside(root: &Path, path: &str) -> Result<Self, LoadError> {
        let root = root.canonicalize().map_err(|error| LoadError::file(root, error))?;
        let folder = root.join(path).canonicalize().ok();
        let folder = folder.filter(|folder| !path.is_empty() && folder.starts_with(&root) && folder.is_dir());
        let folder = folder.ok_or_else(|| outside(path))?;
        Ok(Self {
            folder,
            root: Some(root),
            shown: path.to_owned(),
        })
    }

    /// The path as its caller wrote it.
    #[must_use]
    pub fn shown(&self) -> &str {
        &self.shown
    }

    /// The path of a file, for messages.
    pub(super) fn path_of(&self, name: &str) -> String {
        format!("{}/{name}", self.shown.trim_end_matches('/'))
    }

    /// Whether there is such a file that may be read.
    pub(super) fn has(&self, name: &str) -> bool {
        self.locate(name).is_ok()
    }

    /// Reads a file of at most `limit` bytes.
    pub(super) fn read(&self, name: &str, limit: u64) -> Result<Vec<u8>, LoadError> {
        let failed = |reason: String| LoadError::File {
            path: self.path_of(name),
            reason,
        };
        let path = self.locate(name)?;
        let mut bytes = Vec::new();
        let file = File::open(path).map_err(|error| failed(error.to_string()))?;
        let read = file.take(limit + 1).read_to_end(&mut bytes);
        read.map_err(|error| failed(error.to_string()))?;
        if bytes.len() as u64 > limit {
            return Err(failed(format!("longer than {limit} bytes")));
        }
        Ok(bytes)
    }

    /// The file behind a name. Links are followed here, so that what is checked is what is opened; and only regular files
    /// are opened: a pipe would never answer.
    pub(super) fn locate(&self, name: &str) -> Result<PathBuf, LoadError> {
        let failed = |reason: &str| LoadError::File {
            path: self.path_of(name),
            reason: reason.into(),
        };
        let path = self.folder.join(name).canonicalize();
        let path = path.map_err(|_| failed("no such file"))?;
        if self.root.as_ref().is_some_and(|root| !path.starts_with(root)) {
            return Err(failed("no such file"));
        }
        if !path.is_file() {
            return Err(failed("not a regular file"));
        }
        Ok(path)
    }
}

fn outside(path: &str) -> LoadError {
    LoadError::File {
        path: path.to_owned(),
        reason: "is not a folder inside the folder that may be loaded from".into(),
    }
}
