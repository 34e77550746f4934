//! Optimizer steps that were not taken: recorded for replay, and no more of them than the configuration allows.

use std::path::Path;

use super::open::file_error;
use super::{TrainConfig, TrainError};
use crate::policy::SkippedStep;

/// Folder of the records in a run's folder.
const FOLDER: &str = "skipped_steps";

/// Writes one file for each of `steps`, `so_far` being all that the run has skipped.
///
/// # Errors
/// [`TrainError::Run`]: the run has skipped too many, or a record cannot be written.
pub(super) fn record(
    folder: &Path,
    step: u64,
    steps: &[SkippedStep],
    so_far: u64,
    config: &TrainConfig,
) -> Result<(), TrainError> {
    let Some(last) = steps.last() else { return Ok(()) };
    let folder = folder.join(FOLDER);
    std::fs::create_dir_all(&folder).map_err(|error| file_error(&folder, &error))?;
    for (number, skipped) in steps.iter().enumerate() {
        let path = folder.join(format!("step-{step}-{number}.json"));
        let json = serde_json::to_vec(skipped).expect("plain values serialise");
        std::fs::write(&path, json).map_err(|error| file_error(&path, &error))?;
    }
    let most = config.algorithm.max_skipped_steps;
    if so_far <= most {
        return Ok(());
    }
    Err(TrainError::Run(format!(
        "{so_far} optimizer steps were skipped because something was not finite (the last: {}), more than \
         algorithm.max_skipped_steps = {most}; {} has their batches",
        last.cause,
        folder.display()
    )))
}

#[cfg(test)]
mod tests;
