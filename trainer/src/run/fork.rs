//! A run that begins where a checkpoint of another one ends.

use std::path::Path;

use super::TrainError;
use super::handle::TrainerHandle;
use super::memory::Memory;
use crate::checkpoint::CheckpointStore;
use crate::policy::Policy;

/// A run and a step of it, as `my-run` (its last checkpoint) or `my-run@40`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Origin<'a> {
    run: &'a str,
    step: Option<u64>,
}

fn refuse(reason: impl Into<String>) -> TrainError {
    TrainError::Config {
        field: "fork_from".into(),
        reason: reason.into(),
    }
}

impl<'a> Origin<'a> {
    fn parse(text: &'a str) -> Result<Self, TrainError> {
        let (run, step) = match text.split_once('@') {
            None => (text, None),
            Some((run, step)) => {
                let step = step.parse().map_err(|_| refuse(format!("`{step}` is no step")))?;
                (run, Some(step))
            }
        };
        // The name is that of a folder beside ours, never a path.
        if super::config::is_run_id(run) {
            Ok(Self { run, step })
        } else {
            Err(refuse("must be the id of a run, or `id@step`"))
        }
    }
}

/// Checks the form of `fork_from`.
///
/// # Errors
/// [`TrainError::Config`].
pub(super) fn check(text: &str) -> Result<(), TrainError> {
    Origin::parse(text).map(|_| ())
}

fn find<'a>(runs: &Path, fork_from: &'a str) -> Result<(Origin<'a>, CheckpointStore), TrainError> {
    let origin = Origin::parse(fork_from)?;
    let folder = runs.join(origin.run).join("checkpoints");
    if !folder.is_dir() {
        return Err(refuse(format!("{} has no checkpoints of such a run", runs.display())));
    }
    let store = CheckpointStore::look(&folder);
    Ok((origin, store))
}

fn missing(origin: &Origin<'_>, store: &CheckpointStore) -> TrainError {
    match origin.step {
        None => refuse(format!("run `{}` has no checkpoint", origin.run)),
        Some(step) => refuse(format!(
            "run `{}` has no checkpoint of step {step}; there are {:?}",
            origin.run,
            store.steps().unwrap_or_default()
        )),
    }
}

impl TrainerHandle {
    /// The step at which a run begins that is forked from `fork_from`.
    ///
    /// # Errors
    /// [`TrainError::Config`]: no such run, or no checkpoint of that step.
    pub fn fork_step(&self, fork_from: &str) -> Result<u64, TrainError> {
        let (origin, store) = find(&self.surroundings().runs, fork_from)?;
        let steps = store.steps().map_err(|error| refuse(error.to_string()))?;
        let step = match origin.step {
            None => steps.last().copied(),
            Some(wanted) => steps.into_iter().find(|step| *step == wanted),
        };
        step.ok_or_else(|| missing(&origin, &store))
    }
}

/// Puts the checkpoint that `fork_from` names into `policy` and returns what the other run remembered at that step. What
/// it had consumed, generated and skipped stays its own; the step number, the problems drawn and their history go on.
///
/// # Errors
/// [`TrainError::Config`]: no such run, no intact checkpoint of that step, or one of another model.
pub(super) fn restore(runs: &Path, fork_from: &str, policy: &mut Policy) -> Result<Memory, TrainError> {
    let (origin, store) = find(runs, fork_from)?;
    let found = store
        .load(policy, origin.step)
        .map_err(|error| refuse(error.to_string()))?;
    let restored = found.ok_or_else(|| missing(&origin, &store))?;
    let memory: Memory = serde_json::from_value(restored.run_state)
        .map_err(|error| TrainError::Run(format!("{}: {error}", restored.path.display())))?;
    Ok(Memory {
        weights: None,
        kv: None,
        generated_tokens: 0,
        skipped_steps: 0,
        consumed_groups: Vec::new(),
        consumed: Vec::new(),
        ..memory
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_ids_and_steps() {
        for (text, wanted) in [
            ("a-run", Some(("a-run", None))),
            ("a-run@40", Some(("a-run", Some(40)))),
            ("a-run@", None),
            ("a-run@last", None),
            ("@4", None),
            ("../a", None),
            ("a/b", None),
            (".hidden", None),
        ] {
            let found = Origin::parse(text).ok();
            assert_eq!(found, wanted.map(|(run, step)| Origin { run, step }), "{text}");
        }
    }
}
