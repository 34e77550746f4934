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
    if steps.is_empty() {
        return Ok(());
    }
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
        "{so_far} optimizer steps were skipped because their gradient was not finite, more than \
         algorithm.max_skipped_steps = {most}; {} has their batches",
        folder.display()
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_are_written_and_too_many_stop_the_run() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut config = TrainConfig::default();
        config.algorithm.max_skipped_steps = 2;
        let two = [SkippedStep::default(), SkippedStep::default()];
        record(folder.path(), 3, &[], 0, &config).expect("nothing");
        assert!(!folder.path().join(FOLDER).exists());
        record(folder.path(), 3, &two, 2, &config).expect("allowed");
        let error = record(folder.path(), 4, &two[..1], 3, &config)
            .expect_err("one too many")
            .to_string();
        assert!(
            error.contains("3 optimizer steps") && error.contains("max_skipped_steps = 2"),
            "{error}"
        );
        for name in ["step-3-0.json", "step-3-1.json", "step-4-0.json"] {
            let json = std::fs::read(folder.path().join(FOLDER).join(name)).expect(name);
            assert_eq!(serde_json::from_slice::<SkippedStep>(&json).expect(name), two[0]);
        }
    }
}
