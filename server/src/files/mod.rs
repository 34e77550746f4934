//! Files that clients upload: each a folder of its own, which appears complete or not at all.
//!
//! Ids are made here; a path never comes from a request.

mod config;
pub mod lines;
#[cfg(test)]
mod tests;
mod upload;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

pub use config::FilesConfig;
pub use lines::LineError;
pub use upload::Upload;

use crate::own_folder::{OwnFolder, TEMPORARY, discard, sync_folder};

/// What an upload is for.
pub const PURPOSE: &str = "fine-tune";
const CONTENT: &str = "content.jsonl";
const ENTRY: &str = "file.json";

/// Why a file is not taken, found or removed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// The folder cannot be used.
    #[error("this server keeps no files: {0}")]
    Unavailable(String),
    /// The file is too large.
    #[error("the file is larger than {0} bytes (server.files.max_file_bytes)")]
    TooLarge(u64),
    /// A bound on all files is reached.
    #[error("{0}; delete files that are not needed any more")]
    Full(String),
    /// Too many uploads at once.
    #[error("as many uploads as server.files.max_uploads allows are under way; try again later")]
    Busy,
    /// No such file.
    #[error("there is no file `{0}`; GET /v1/files lists them")]
    Unknown(String),
    /// Its content is refused.
    #[error("{0}")]
    Content(LineError),
    /// The disk.
    #[error("{0}")]
    Disk(String),
}

/// A file that is held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stored {
    /// Its id.
    pub id: String,
    /// The name that it was uploaded under.
    pub filename: String,
    /// Size.
    pub bytes: u64,
    /// When it was uploaded, microseconds since the epoch.
    pub created_us: u64,
}

#[derive(Debug, Default)]
struct Held {
    /// Oldest first.
    files: Vec<Arc<Stored>>,
    uploads: usize,
    /// Bytes of uploads under way.
    coming: u64,
}

impl Held {
    fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum::<u64>() + self.coming
    }
}

/// The files of a server.
#[derive(Debug)]
pub struct Files {
    folder: Result<PathBuf, String>,
    config: FilesConfig,
    held: Mutex<Held>,
}

impl Files {
    /// The files below `own`; what a killed process left half done is removed. Where the folder cannot be used, every use
    /// says why.
    #[must_use]
    pub fn open(own: Result<&OwnFolder, &String>, config: FilesConfig) -> Arc<Self> {
        let folder = own.map_err(Clone::clone).and_then(|own| {
            let folder = own.path.join("files");
            let files = read_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
            Ok((folder, files))
        });
        let (folder, files) = match folder {
            Ok((folder, files)) => (Ok(folder), files),
            Err(reason) => (Err(reason), Vec::new()),
        };
        Arc::new(Self {
            folder,
            config,
            held: Mutex::new(Held {
                files,
                ..Held::default()
            }),
        })
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        // Nothing panics while the lock is held, so a poisoned one is still consistent.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn folder(&self) -> Result<&Path, FileError> {
        let unavailable = |reason: &String| FileError::Unavailable(reason.clone());
        self.folder.as_deref().map_err(unavailable)
    }

    /// The bounds.
    #[must_use]
    pub fn config(&self) -> &FilesConfig {
        &self.config
    }

    /// All files, oldest first.
    ///
    /// # Errors
    /// [`FileError::Unavailable`].
    pub fn list(&self) -> Result<Vec<Arc<Stored>>, FileError> {
        self.folder()?;
        Ok(self.held().files.clone())
    }

    /// The file of that id.
    ///
    /// # Errors
    /// [`FileError::Unknown`], [`FileError::Unavailable`].
    pub fn get(&self, id: &str) -> Result<Arc<Stored>, FileError> {
        self.folder()?;
        let held = self.held();
        let found = held.files.iter().find(|file| file.id == id).cloned();
        found.ok_or_else(|| FileError::Unknown(id.to_owned()))
    }

    /// Where the content of a file lies.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub fn content(&self, id: &str) -> Result<PathBuf, FileError> {
        let file = self.get(id)?;
        Ok(self.folder()?.join(&file.id).join(CONTENT))
    }

    /// Removes a file. Who reads it reads on.
    ///
    /// # Errors
    /// [`FileError::Unknown`], [`FileError::Unavailable`], [`FileError::Disk`]; the file is still there then.
    pub fn delete(&self, id: &str) -> Result<Arc<Stored>, FileError> {
        let file = self.get(id)?;
        let folder = self.folder()?;
        let doomed = folder.join(format!("{TEMPORARY}{}", file.id));
        // Renamed first, so that half of a file never looks like one.
        match fs::rename(folder.join(&file.id), &doomed) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                self.held().files.retain(|other| other.id != id);
                return Err(FileError::Unknown(id.to_owned()));
            }
            Err(error) => return Err(FileError::Disk(error.to_string())),
        }
        self.held().files.retain(|other| other.id != id);
        sync_folder(folder).map_err(|error| FileError::Disk(error.to_string()))?;
        discard(&doomed);
        Ok(file)
    }

    /// Begins an upload.
    ///
    /// # Errors
    /// [`FileError::Busy`], [`FileError::Full`], [`FileError::Unavailable`], [`FileError::Disk`].
    pub fn begin(self: &Arc<Self>) -> Result<Upload, FileError> {
        let folder = self.folder()?;
        let mut held = self.held();
        if held.uploads >= self.config.max_uploads {
            return Err(FileError::Busy);
        }
        if held.files.len() + held.uploads >= self.config.max_files {
            let bound = self.config.max_files;
            return Err(FileError::Full(format!(
                "{bound} files are held (server.files.max_files)"
            )));
        }
        held.uploads += 1;
        drop(held);
        Upload::begin(Arc::clone(self), folder)
    }

    /// Takes room for bytes that are coming.
    fn reserve(&self, bytes: u64) -> Result<(), FileError> {
        let mut held = self.held();
        let bound = self.config.max_total_bytes;
        if held.bytes() + bytes > bound {
            return Err(FileError::Full(format!(
                "the files together would have more than {bound} bytes (server.files.max_total_bytes)"
            )));
        }
        held.coming += bytes;
        Ok(())
    }

    /// Ends an upload of so many bytes, with the file that it became.
    fn end(&self, bytes: u64, file: Option<Arc<Stored>>) {
        let mut held = self.held();
        held.uploads -= 1;
        held.coming -= bytes;
        held.files.extend(file);
    }
}

/// The files in `folder`, oldest first; leftovers are removed, and what is no file is left alone.
fn read_all(folder: &Path) -> std::io::Result<Vec<Arc<Stored>>> {
    fs::create_dir_all(folder)?;
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with(TEMPORARY) {
            discard(&entry.path());
            continue;
        }
        match read_entry(&entry.path()) {
            Ok(file) if file.id == name => files.push(Arc::new(file)),
            Ok(_) => tracing::warn!(name, "is no uploaded file: its id is another"),
            Err(error) => tracing::warn!(name, %error, "is no uploaded file"),
        }
    }
    files.sort_by(|a, b| (a.created_us, &a.id).cmp(&(b.created_us, &b.id)));
    Ok(files)
}

fn read_entry(folder: &Path) -> std::io::Result<Stored> {
    let file: Stored = serde_json::from_reader(File::open(folder.join(ENTRY))?)?;
    let bytes = fs::metadata(folder.join(CONTENT))?.len();
    if bytes == file.bytes {
        Ok(file)
    } else {
        Err(std::io::Error::other(format!(
            "{bytes} bytes instead of {}",
            file.bytes
        )))
    }
}
