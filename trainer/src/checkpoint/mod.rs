//! Atomic checkpoints: parameters, optimizer moments and the loop's own state, checksummed, last K kept.

//!
//! A checkpoint is written into a temporary folder, synced, and renamed; no earlier folder is ever written to. What the
//! loop's state means is the loop's affair.

mod disk;
mod format;
mod read;
mod write;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use disk::{Disk, FileSystem};
pub(crate) use format::fingerprint as layout_sha256;
use format::{fingerprint, folder_name, parse_folder_name};

use crate::crash;
use crate::policy::Policy;

/// Prefix of folders that are not checkpoints: being written or removed.
const TEMPORARY: &str = ".part-";

/// Errors of checkpointing. An older checkpoint is never harmed.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// The disk is full; nothing was replaced.
    #[error("{path}: no space left for the checkpoint; earlier checkpoints are intact")]
    DiskFull {
        /// File being written.
        path: String,
    },
    /// A file cannot be read or written.
    #[error("{path}: {reason}")]
    File {
        /// The file.
        path: String,
        /// What happened.
        reason: String,
    },
    /// No checkpoint in the folder is intact; lists what is wrong with each.
    #[error("no intact checkpoint in {folder}: {reasons}")]
    NoneIntact {
        /// The folder.
        folder: String,
        /// One reason per checkpoint tried.
        reasons: String,
    },
    /// The checkpoint is of another model.
    #[error("{path}: the checkpoint does not fit the model: {reason}")]
    Mismatch {
        /// The checkpoint.
        path: String,
        /// What differs.
        reason: String,
    },
}

/// A folder of checkpoints `step-N` (`step-N.1` if a step is saved again). Only one process may write to it.
#[derive(Debug, Clone)]
pub struct CheckpointStore {
    folder: PathBuf,
    keep: usize,
    disk: Arc<dyn Disk>,
}

/// A checkpoint that was read back.
#[derive(Debug, Clone, PartialEq)]
pub struct Restored {
    /// Step it was taken after.
    pub step: u64,
    /// The loop's own state, as given to `save`.
    pub run_state: serde_json::Value,
    /// Where it lies.
    pub path: PathBuf,
    /// Newer checkpoints that were not intact, with the reason.
    pub skipped: Vec<String>,
}

impl CheckpointStore {
    /// Checkpoints in `folder` (created if missing), the newest `keep` (at least 1) of which are kept. Leftovers of a
    /// killed process are removed.
    ///
    /// # Errors
    /// [`CheckpointError::File`].
    pub fn open(folder: &Path, keep: usize) -> Result<Self, CheckpointError> {
        std::fs::create_dir_all(folder).map_err(|error| write::failed(folder, &error))?;
        let store = Self {
            folder: folder.into(),
            keep: keep.max(1),
            disk: Arc::new(FileSystem),
        };
        for name in store.names()?.iter().filter(|name| name.starts_with(TEMPORARY)) {
            store.discard(&folder.join(name));
        }
        Ok(store)
    }

    /// The checkpoints in `folder` to read only: nothing is created or removed.
    #[must_use]
    pub fn look(folder: &Path) -> Self {
        Self {
            folder: folder.into(),
            keep: usize::MAX,
            disk: Arc::new(FileSystem),
        }
    }

    /// Steps of the checkpoints, oldest first.
    ///
    /// # Errors
    /// [`CheckpointError::File`].
    pub fn steps(&self) -> Result<Vec<u64>, CheckpointError> {
        Ok(self.checkpoints()?.into_iter().map(|(step, _)| step).collect())
    }

    /// Step and folder of each checkpoint, oldest first.
    ///
    /// # Errors
    /// [`CheckpointError::File`].
    pub fn found(&self) -> Result<Vec<(u64, PathBuf)>, CheckpointError> {
        let path = |(step, copy)| (step, self.folder.join(folder_name(step, copy)));
        Ok(self.checkpoints()?.into_iter().map(path).collect())
    }

    /// Step and weight version of each checkpoint whose state can be read, oldest first.
    ///
    /// # Errors
    /// [`CheckpointError::File`].
    pub fn versions(&self) -> Result<Vec<(u64, u64)>, CheckpointError> {
        let read = |(step, copy)| read::read_state(&self.folder.join(folder_name(step, copy))).ok();
        let states = self.checkpoints()?.into_iter().filter_map(read);
        Ok(states.map(|(_, state)| (state.step, state.version)).collect())
    }

    /// Removes the checkpoints of later steps than `step` with a weight version before `version`: the run went back to that
    /// step, under that version. What cannot be read stays; it is no place to begin from.
    ///
    /// # Errors
    /// [`CheckpointError::File`].
    pub fn discard_after(&self, step: u64, version: u64) -> Result<(), CheckpointError> {
        for (found, copy) in self.checkpoints()?.into_iter().filter(|(found, _)| *found > step) {
            let name = folder_name(found, copy);
            if !read::read_state(&self.folder.join(&name)).is_ok_and(|(_, state)| state.version < version) {
                continue;
            }
            let doomed = self.folder.join(format!("{TEMPORARY}{name}.old"));
            self.disk
                .rename(&self.folder.join(&name), &doomed)
                .map_err(|error| write::failed(&doomed, &error))?;
            self.discard(&doomed);
        }
        self.disk
            .sync_folder(&self.folder)
            .map_err(|error| write::failed(&self.folder, &error))
    }

    /// Writes a checkpoint after `step`; returns its folder. It exists completely or not at all.
    ///
    /// # Errors
    /// [`CheckpointError::DiskFull`], [`CheckpointError::File`].
    pub fn save(&self, policy: &Policy, step: u64, run_state: &serde_json::Value) -> Result<PathBuf, CheckpointError> {
        let taken = self
            .checkpoints()?
            .into_iter()
            .filter(|(found, _)| *found == step)
            .map(|(_, copy)| copy + 1)
            .max();
        let copy = taken.unwrap_or(0);
        let name = folder_name(step, copy);
        let temporary = self.folder.join(format!("{TEMPORARY}{name}"));
        let folder = self.folder.join(name);
        let written = write::write_all(self.disk.as_ref(), &temporary, policy, step, run_state).and_then(|()| {
            crash::point(crash::Point::CheckpointRename);
            self.disk
                .rename(&temporary, &folder)
                .map_err(|error| write::failed(&folder, &error))
        });
        if let Err(error) = written {
            self.discard(&temporary);
            return Err(error);
        }
        self.disk
            .sync_folder(&self.folder)
            .map_err(|error| write::failed(&self.folder, &error))?;
        self.prune((step, copy));
        Ok(folder)
    }

    /// Puts the newest intact checkpoint into `policy`; `None` if there is no checkpoint at all.
    ///
    /// # Errors
    /// [`CheckpointError::NoneIntact`], [`CheckpointError::Mismatch`], [`CheckpointError::File`].
    pub fn load_latest(&self, policy: &mut Policy) -> Result<Option<Restored>, CheckpointError> {
        self.load(policy, None)
    }

    /// As [`Self::load_latest`], or only from checkpoints of `step`.
    ///
    /// # Errors
    /// As [`Self::load_latest`].
    pub fn load(&self, policy: &mut Policy, step: Option<u64>) -> Result<Option<Restored>, CheckpointError> {
        let mut skipped = Vec::new();
        let mut found = self.checkpoints()?;
        found.retain(|(of, _)| step.is_none_or(|step| step == *of));
        for (step, copy) in found.into_iter().rev() {
            let path = self.folder.join(folder_name(step, copy));
            match load(&path, policy)? {
                Ok((step, run_state)) => {
                    return Ok(Some(Restored {
                        step,
                        run_state,
                        path,
                        skipped,
                    }));
                }
                Err(reason) => {
                    let reason = format!("{}: {reason}", path.display());
                    tracing::warn!(reason, "a checkpoint is not intact; trying the one before");
                    skipped.push(reason);
                }
            }
        }
        if skipped.is_empty() {
            return Ok(None);
        }
        Err(CheckpointError::NoneIntact {
            folder: self.folder.display().to_string(),
            reasons: skipped.join("; "),
        })
    }

    /// Steps and copies, oldest first.
    fn checkpoints(&self) -> Result<Vec<(u64, u32)>, CheckpointError> {
        let mut found: Vec<(u64, u32)> = self
            .names()?
            .iter()
            .filter_map(|name| parse_folder_name(name))
            .collect();
        found.sort_unstable();
        Ok(found)
    }

    fn names(&self) -> Result<Vec<String>, CheckpointError> {
        let failed = |error: std::io::Error| write::failed(&self.folder, &error);
        std::fs::read_dir(&self.folder)
            .map_err(failed)?
            .map(|entry| Ok(entry.map_err(failed)?.file_name().to_string_lossy().into_owned()))
            .collect()
    }

    /// Removes all but the newest up to the one just `saved`. Those of later steps are no places to begin from, else the run
    /// would have begun there: they push none out. A failure leaves too many, which is harmless and tried again at the next
    /// save.
    fn prune(&self, saved: (u64, u32)) {
        let mut found = self.checkpoints().unwrap_or_default();
        found.retain(|one| *one <= saved);
        for (step, copy) in &found[..found.len().saturating_sub(self.keep)] {
            let name = folder_name(*step, *copy);
            let doomed = self.folder.join(format!("{TEMPORARY}{name}.old"));
            // Renamed first, so that a checkpoint half removed does not look like one.
            match self.disk.rename(&self.folder.join(&name), &doomed) {
                Ok(()) => self.discard(&doomed),
                Err(error) => tracing::warn!(name, %error, "an old checkpoint could not be removed"),
            }
        }
    }

    fn discard(&self, folder: &Path) {
        match self.disk.remove_folder(folder) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => tracing::warn!(folder = %folder.display(), %error, "a temporary folder could not be removed"),
        }
    }
}

/// Step and run state of the checkpoint at `path` after putting it into `policy`, or why it is not intact.
fn load(path: &Path, policy: &mut Policy) -> Result<Result<(u64, serde_json::Value), String>, CheckpointError> {
    let mismatch = |reason: String| CheckpointError::Mismatch {
        path: path.display().to_string(),
        reason,
    };
    let (manifest, state) = match read::read_state(path) {
        Ok(found) => found,
        Err(reason) => return Ok(Err(reason)),
    };
    let layout = &policy.masters().layout;
    if state.layout_sha256 != fingerprint(layout) || state.parameters != layout.len as u64 {
        let reason = format!(
            "it has {} trained parameters, this run trains {} or other shapes; the model or `lora` has changed",
            state.parameters, layout.len
        );
        return Err(mismatch(reason));
    }
    if state.base_sha256.as_deref() != policy.base_sha256() {
        return Err(mismatch("its adapter was trained on other weights".into()));
    }
    let contents = match read::read_arenas(path, &manifest, state) {
        Ok(contents) => contents,
        Err(reason) => return Ok(Err(reason)),
    };
    let state = contents.state;
    policy
        .restore(contents.params, contents.optimizer, state.version)
        .map_err(|error| mismatch(error.to_string()))?;
    Ok(Ok((state.step, state.run_state)))
}
