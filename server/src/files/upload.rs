//! A file on its way in: written aside, checked, then put in its place by one rename.

use std::fs::{self, File};
use std::io::{BufReader, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use uuid::Uuid;

use super::lines::{LineError, read_lines};
use super::{CONTENT, ENTRY, FileError, Files, Stored};
use crate::own_folder::{TEMPORARY, discard, sync_folder};

/// An upload. Dropping it removes what has arrived.
#[derive(Debug)]
pub struct Upload {
    files: Arc<Files>,
    id: String,
    /// What has arrived; gone once it is in its place.
    folder: PathBuf,
    content: Option<File>,
    bytes: u64,
    done: Option<Arc<Stored>>,
}

impl Upload {
    /// Begins one in `folder`; its place among the uploads is taken already.
    pub(super) fn begin(files: Arc<Files>, folder: &Path) -> Result<Self, FileError> {
        let id = format!("file-{}", Uuid::new_v4().simple());
        let mut upload = Self {
            files,
            folder: folder.join(format!("{TEMPORARY}{id}")),
            id,
            content: None,
            bytes: 0,
            done: None,
        };
        fs::create_dir(&upload.folder).map_err(disk)?;
        upload.content = Some(File::create_new(upload.folder.join(CONTENT)).map_err(disk)?);
        Ok(upload)
    }

    /// Takes the next bytes.
    ///
    /// # Errors
    /// [`FileError::TooLarge`], [`FileError::Full`], [`FileError::Disk`].
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), FileError> {
        let most = self.files.config().max_file_bytes;
        if self.bytes + bytes.len() as u64 > most {
            return Err(FileError::TooLarge(most));
        }
        self.files.reserve(bytes.len() as u64)?;
        self.bytes += bytes.len() as u64;
        let content = self.content.as_mut().expect("opened with the upload");
        content.write_all(bytes).map_err(disk)
    }

    /// Checks the lines and puts the file in its place.
    ///
    /// # Errors
    /// [`FileError::Content`], [`FileError::Disk`]; nothing is left then.
    pub fn finish(mut self, filename: String) -> Result<Arc<Stored>, FileError> {
        let content = self.content.take().expect("opened with the upload");
        let written = File::open(self.folder.join(CONTENT)).map_err(disk)?;
        read_lines(BufReader::new(written), |_, _| Ok(())).map_err(|error| match error {
            LineError::Read(error) => disk(error),
            error => FileError::Content(error),
        })?;
        let file = Stored {
            id: self.id.clone(),
            filename,
            bytes: self.bytes,
            created_us: now_us(),
        };
        let entry = serde_json::to_vec(&file).map_err(|error| FileError::Disk(error.to_string()))?;
        let mut described = File::create_new(self.folder.join(ENTRY)).map_err(disk)?;
        described.write_all(&entry).map_err(disk)?;
        content.sync_all().and_then(|()| described.sync_all()).map_err(disk)?;
        sync_folder(&self.folder).map_err(disk)?;
        let folder = self.files.folder()?.to_path_buf();
        fs::rename(&self.folder, folder.join(&self.id)).map_err(disk)?;
        let file = Arc::new(file);
        self.done = Some(Arc::clone(&file));
        sync_folder(&folder).map_err(disk)?;
        Ok(file)
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if self.done.is_none() {
            discard(&self.folder);
        }
        self.files.end(self.bytes, self.done.take());
    }
}

fn disk(error: std::io::Error) -> FileError {
    FileError::Disk(error.to_string())
}

fn now_us() -> u64 {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX)
}
