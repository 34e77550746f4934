//! The folder in which a server keeps what clients give it, below the runs. It belongs to one process at a time.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

/// Its name in the runs folder; no run can have it, since the id of a run begins with no dot.
const NAME: &str = ".api";

/// What names of folders begin with that are being written or removed.
pub const TEMPORARY: &str = ".part-";

/// The folder, locked for as long as this lives.
#[derive(Debug)]
pub struct OwnFolder {
    /// Where it is.
    pub path: PathBuf,
    _lock: File,
}

impl OwnFolder {
    /// Takes the folder in `runs`, made if missing.
    ///
    /// # Errors
    /// Why it cannot be used, in words for clients and the log.
    pub fn take(runs: &Path) -> Result<Self, String> {
        let path = runs.join(NAME);
        let told = |error: std::io::Error| format!("{}: {error}", path.display());
        std::fs::create_dir_all(&path).map_err(told)?;
        let lock = File::create(path.join("lock")).map_err(told)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err("another process serves from the same runs folder and keeps files and jobs there".into());
            }
            // Some network file systems have no locks; there a second process is the user's own care.
            Err(TryLockError::Error(error)) if error.kind() == std::io::ErrorKind::Unsupported => {}
            Err(TryLockError::Error(error)) => return Err(told(error)),
        }
        Ok(Self { path, _lock: lock })
    }
}

/// Puts the entries of a folder on the disk.
///
/// # Errors
/// The system's.
pub fn sync_folder(folder: &Path) -> std::io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Removes a folder with what is in it, if it is there.
pub fn discard(folder: &Path) {
    match std::fs::remove_dir_all(folder) {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => tracing::warn!(folder = %folder.display(), %error, "a leftover could not be removed"),
    }
}
