//! The files of a model, on disk or in the binary, read with a bound on their size.
#![allow(unsafe_code)] // memory maps

use std::fs::File;
use std::io::Read;
use std::path::PathBuf;

use memmap2::Mmap;

use super::{AllowedFolder, LoadError};

/// Longest text file accepted (the largest tokenizer.json in use is about 35 MB), bytes.
const MAX_TEXT_BYTES: u64 = 256 << 20;

/// Where the files are.
#[derive(Debug, Clone)]
pub(super) enum Files {
    /// In a folder.
    Folder(PathBuf),
    /// In a folder that none of them may lead out of.
    Allowed(AllowedFolder),
    /// In memory.
    Embedded(Vec<(&'static str, &'static [u8])>),
}

/// Longest tensor file read from an allowed folder, bytes.
const MAX_TENSOR_BYTES: u64 = 64 << 30;

/// The bytes of a tensor file.
#[derive(Debug)]
pub(super) enum Bytes {
    Mapped(Mmap),
    Read(Vec<u8>),
    Static(&'static [u8]),
}

impl AsRef<[u8]> for Bytes {
    fn as_ref(&self) -> &[u8] {
        match self {
            Self::Mapped(map) => map,
            Self::Read(bytes) => bytes,
            Self::Static(bytes) => bytes,
        }
    }
}

impl Files {
    /// The path to name in errors.
    pub(super) fn path_of(&self, name: &str) -> String {
        match self {
            Self::Folder(folder) => folder.join(name).display().to_string(),
            Self::Allowed(folder) => folder.path_of(name),
            Self::Embedded(_) => format!("embedded {name}"),
        }
    }

    /// Reads a small file; `None` if there is none.
    pub(super) fn read(&self, name: &str) -> Result<Option<Vec<u8>>, LoadError> {
        match self {
            Self::Folder(folder) => {
                let path = folder.join(name);
                let file = match File::open(&path) {
                    Ok(file) => file,
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
                    Err(error) => return Err(LoadError::file(&path, error)),
                };
                let mut bytes = Vec::new();
                file.take(MAX_TEXT_BYTES + 1)
                    .read_to_end(&mut bytes)
                    .map_err(|error| LoadError::file(&path, error))?;
                if bytes.len() as u64 > MAX_TEXT_BYTES {
                    return Err(LoadError::file(&path, format!("longer than {MAX_TEXT_BYTES} bytes")));
                }
                Ok(Some(bytes))
            }
            Self::Allowed(folder) if !folder.has(name) => Ok(None),
            Self::Allowed(folder) => folder.read(name, MAX_TEXT_BYTES).map(Some),
            Self::Embedded(files) => Ok(find(files, name).map(<[u8]>::to_vec)),
        }
    }

    /// Reads a small file that must be there.
    pub(super) fn require(&self, name: &str) -> Result<Vec<u8>, LoadError> {
        let missing = || LoadError::File {
            path: self.path_of(name),
            reason: "no such file".into(),
        };
        self.read(name)?.ok_or_else(missing)
    }

    /// True if there is such a file.
    pub(super) fn has(&self, name: &str) -> bool {
        match self {
            Self::Folder(folder) => folder.join(name).is_file(),
            Self::Allowed(folder) => folder.has(name),
            Self::Embedded(files) => find(files, name).is_some(),
        }
    }

    /// Opens a large file for reading its tensors.
    pub(super) fn open(&self, name: &str) -> Result<Bytes, LoadError> {
        match self {
            Self::Folder(folder) => map(&folder.join(name)),
            // Not mapped: whoever writes there may cut a file short while it is read, and reading a map of it then is the end
            // of the process.
            Self::Allowed(folder) => folder.read(name, MAX_TENSOR_BYTES).map(Bytes::Read),
            Self::Embedded(files) => find(files, name).map(Bytes::Static).ok_or_else(|| LoadError::File {
                path: self.path_of(name),
                reason: "no such file".into(),
            }),
        }
    }
}

fn find(files: &[(&'static str, &'static [u8])], name: &str) -> Option<&'static [u8]> {
    files.iter().find(|(known, _)| *known == name).map(|(_, bytes)| *bytes)
}

/// Maps a file for reading.
pub(super) fn map(path: &std::path::Path) -> Result<Bytes, LoadError> {
    let file = File::open(path).map_err(|error| LoadError::file(path, error))?;
    let kind = file.metadata().map_err(|error| LoadError::file(path, error))?;
    if !kind.is_file() {
        return Err(LoadError::file(path, "not a regular file"));
    }
    // SAFETY: the map is read-only and lives only while the parameters are copied out of it. Another process could
    // still truncate the file meanwhile; model files are written under a temporary name and renamed, by us and by others.
    let mapped = unsafe { Mmap::map(&file) };
    mapped.map(Bytes::Mapped).map_err(|error| LoadError::file(path, error))
}
