//! Atomic checkpoints: parameters, optimizer moments and the loop's own state, checksummed, last K kept.

use std::path::{Path, PathBuf};

use crate::policy::Policy;

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

/// A folder of checkpoints `step-N`.
#[derive(Debug, Clone)]
pub struct CheckpointStore {
    folder: PathBuf,
    keep: usize,
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
    /// Checkpoints in `folder` (created if missing), the newest `keep` (at least 1) of which are kept.
    ///
    /// # Errors
    /// [`CheckpointError::File`].
    pub fn open(folder: &Path, keep: usize) -> Result<Self, CheckpointError> {
        Ok(Self {
            folder: folder.into(),
            keep,
        })
    }

    /// Writes a checkpoint after `step`; returns its folder. It exists completely or not at all.
    ///
    /// # Errors
    /// [`CheckpointError::DiskFull`], [`CheckpointError::File`].
    pub fn save(
        &self,
        _policy: &Policy,
        _step: u64,
        _run_state: &serde_json::Value,
    ) -> Result<PathBuf, CheckpointError> {
        let _ = (&self.folder, self.keep);
        unimplemented!()
    }

    /// Puts the newest intact checkpoint into `policy`; `None` if there is no checkpoint at all.
    ///
    /// # Errors
    /// [`CheckpointError::NoneIntact`], [`CheckpointError::Mismatch`], [`CheckpointError::File`].
    pub fn load_latest(&self, _policy: &mut Policy) -> Result<Option<Restored>, CheckpointError> {
        unimplemented!()
    }
}
