//! What a run has left on the disk: its checkpoints, and the policy as one of them has it.

use std::fs;
use std::path::Path;
use std::time::UNIX_EPOCH;

use super::claim::CONFIG_FILE;
use super::open::{file_error, policy};
use super::{TrainConfig, TrainError, TrainerHandle};
use crate::checkpoint::CheckpointStore;
use crate::policy::Policy;

/// Folder of checkpoints in that of a run.
pub(super) const CHECKPOINTS: &str = "checkpoints";

/// A checkpoint of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checkpoint {
    /// It was taken after this step.
    pub step: u64,
    /// When it was written, seconds since the epoch.
    pub created: u64,
}

impl TrainerHandle {
    /// The checkpoints that run `run_id` still has, oldest first; none if there is no such run.
    ///
    /// # Errors
    /// [`TrainError::Run`] if its folder cannot be read.
    pub fn checkpoints(&self, run_id: &str) -> Result<Vec<Checkpoint>, TrainError> {
        let Some(folder) = self.folder(run_id).map(|folder| folder.join(CHECKPOINTS)) else {
            return Ok(Vec::new());
        };
        if !folder.is_dir() {
            return Ok(Vec::new());
        }
        let store = CheckpointStore::look(&folder);
        let mut found: Vec<Checkpoint> = Vec::new();
        for (step, path) in store.found()? {
            // The last of several of one step counts; one that was removed meanwhile is none.
            let Some(created) = written(&path) else { continue };
            found.retain(|other| other.step != step);
            found.push(Checkpoint { step, created });
        }
        Ok(found)
    }

    /// The policy of run `run_id` as its checkpoint after `step` has it, or the last one; `None` if there is none. Takes the
    /// memory of a policy, and as long as reading the checkpoint.
    ///
    /// # Errors
    /// [`TrainError::Run`] if it cannot be read or is of another model.
    pub fn restored(&self, run_id: &str, step: Option<u64>) -> Result<Option<Policy>, TrainError> {
        let Some(folder) = self.folder(run_id) else {
            return Ok(None);
        };
        let path = folder.join(CONFIG_FILE);
        let text = fs::read_to_string(&path).map_err(|error| file_error(&path, &error))?;
        let mut policy = policy(self.surroundings(), &TrainConfig::from_toml(&text)?)?;
        let checkpoints = folder.join(CHECKPOINTS);
        if !checkpoints.is_dir() {
            return Ok(None);
        }
        let found = CheckpointStore::look(&checkpoints).load(&mut policy, step)?;
        Ok(found.map(|_| policy))
    }
}

fn written(checkpoint: &Path) -> Option<u64> {
    let written = fs::metadata(checkpoint).and_then(|found| found.modified()).ok()?;
    Some(
        written
            .duration_since(UNIX_EPOCH)
            .map_or(0, |elapsed| elapsed.as_secs()),
    )
}
