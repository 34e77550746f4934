//! What was changed in a run while it went on: `changes.jsonl`, read again when it is resumed.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::memory::MAY_CHANGE;
use super::open::file_error;
use super::{TrainConfig, TrainError};
use crate::clock::unix_s;

const FILE: &str = "changes.jsonl";

/// Keys, or sections, that may change while a run goes on: they are read anew by each step, and nothing that was sampled or
/// computed before depends on them.
pub const CHANGEABLE: [&str; 26] = [
    "steps",
    "max_generated_tokens",
    "publish_wait_s",
    "optim.lr",
    "optim.weight_decay",
    "optim.grad_clip",
    "algorithm.clip_ratio_low",
    "algorithm.clip_ratio_high",
    "algorithm.clip_ratio_c",
    "algorithm.kl_loss_coef",
    "algorithm.entropy_coeff",
    "algorithm.filter_groups",
    "algorithm.filter_acc_lower",
    "algorithm.filter_acc_upper",
    "algorithm.max_num_gen_batches",
    "algorithm.max_skipped_steps",
    "rollout.temperature",
    "rollout.top_p",
    "rollout.top_k",
    "rollout.max_groups_in_flight",
    "trajectories.groups_per_step",
    "trajectories.group_timeout_s",
    "trajectories.idle_timeout_s",
    "trajectories.max_staleness",
    "checkpoint.save_freq",
    "eval.samples",
];

/// A change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Change {
    /// Keys were laid over the configuration.
    Config {
        /// Steps done then.
        step: u64,
        /// The keys.
        changes: Map<String, Value>,
    },
    /// The run went back to a checkpoint.
    Rollback {
        /// Steps done before.
        from_step: u64,
        /// Steps done since.
        to_step: u64,
        /// Version that the weights of the checkpoint were published as.
        weight_version: u64,
    },
}

/// A change and when it was made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Seconds since the epoch.
    pub at: f64,
    /// What was changed.
    #[serde(flatten)]
    pub change: Change,
}

/// The changes in `folder`, oldest first; lines that do not parse (a crash) are left out.
///
/// # Errors
/// [`TrainError::Run`] if the file cannot be read.
pub fn read(folder: &Path) -> Result<Vec<Entry>, TrainError> {
    let path = folder.join(FILE);
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(file_error(&path, &error)),
    };
    let mut entries = Vec::new();
    for line in BufReader::new(file).split(b'\n') {
        let line = line.map_err(|error| file_error(&path, &error))?;
        entries.extend(serde_json::from_slice::<Entry>(&line).ok());
    }
    Ok(entries)
}

/// Notes a change for good.
pub(super) fn append(folder: &Path, change: Change) -> Result<(), TrainError> {
    let path = folder.join(FILE);
    let fail = |error: std::io::Error| file_error(&path, &error);
    let entry = Entry { at: unix_s(), change };
    // A line that a crash cut off is closed first.
    let mut line = b"\n".to_vec();
    serde_json::to_writer(&mut line, &entry).map_err(|error| fail(error.into()))?;
    line.push(b'\n');
    let mut file = OpenOptions::new().create(true).append(true).open(&path).map_err(fail)?;
    file.write_all(&line).and_then(|()| file.sync_all()).map_err(fail)
}

/// A change of the configuration, and after which step it applies.
pub(super) type Pending = (u64, Map<String, Value>);

/// The changes of the configuration in order, each with the step after which it applies: one that was made later than the
/// step that the run went back to applies from there. What a resumed run may be given otherwise anyway it is told anew.
pub(super) fn of_config(entries: Vec<Entry>) -> Vec<Pending> {
    let mut found: Vec<Pending> = Vec::new();
    for entry in entries {
        match entry.change {
            Change::Config { step, mut changes } => {
                changes.retain(|key, _| !MAY_CHANGE.contains(&key.as_str()));
                found.push((step, changes));
            }
            Change::Rollback { to_step, .. } => found.iter_mut().for_each(|(step, _)| *step = to_step.min(*step)),
        }
    }
    found
}

/// The step that the run last went back to, and the version under which its weights were published.
pub(super) fn last_rollback(entries: &[Entry]) -> Option<(u64, u64)> {
    entries.iter().rev().find_map(|entry| match entry.change {
        Change::Rollback {
            to_step,
            weight_version,
            ..
        } => Some((to_step, weight_version)),
        Change::Config { .. } => None,
    })
}

/// Refuses keys that cannot change while the run goes on.
///
/// # Errors
/// [`TrainError::Config`] naming the first.
pub(super) fn check(changes: &Map<String, Value>) -> Result<(), TrainError> {
    let refuse = |field: String, reason: &str| {
        Err(TrainError::Config {
            field,
            reason: reason.into(),
        })
    };
    if changes.is_empty() {
        return refuse(String::new(), "names no key to change");
    }
    match leaves("", changes)
        .into_iter()
        .find(|key| !CHANGEABLE.contains(&key.as_str()))
    {
        None => Ok(()),
        Some(key) => {
            let reason = format!(
                "cannot change while the run goes on; what can: {}",
                CHANGEABLE.join(", ")
            );
            refuse(key, &reason)
        }
    }
}

/// `config` with the changes of before `step` laid over it.
///
/// # Errors
/// [`TrainError::Faults`].
pub(super) fn replayed(config: &TrainConfig, changes: &[Pending], step: u64) -> Result<TrainConfig, TrainError> {
    let mut config = config.clone();
    for (_, changes) in changes.iter().filter(|(at, _)| *at <= step) {
        config = config.overlaid(changes)?;
    }
    Ok(config)
}

/// Dotted names of all keys that are no sections.
fn leaves(prefix: &str, table: &Map<String, Value>) -> Vec<String> {
    let named = table.iter().flat_map(|(key, value)| {
        let name = format!("{prefix}{key}");
        match value {
            Value::Object(inner) if !inner.is_empty() => leaves(&format!("{name}."), inner),
            _ => vec![name],
        }
    });
    named.collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn keys(value: Value) -> Map<String, Value> {
        value.as_object().expect("an object").clone()
    }

    #[test]
    fn changes_survive_a_torn_line_and_follow_a_rollback() {
        let folder = tempfile::tempdir().expect("a folder");
        let config = |step, changes| Change::Config { step, changes };
        let back = |from_step, to_step| Change::Rollback {
            from_step,
            to_step,
            weight_version: 9,
        };
        let changes = [
            config(2, keys(json!({"optim": {"lr": 0.25}}))),
            config(7, keys(json!({"steps": 50, "rollout": {"temperature": 0.5}}))),
            back(9, 4),
            config(6, keys(json!({"optim": {"lr": 0.125}}))),
        ];
        for change in &changes {
            append(folder.path(), change.clone()).expect("writes");
            let mut file = OpenOptions::new()
                .append(true)
                .open(folder.path().join(FILE))
                .expect("opens");
            file.write_all(b"{\"at\":1,\"eve").expect("tears");
        }
        let found = read(folder.path()).expect("reads");
        assert_eq!(
            found.iter().map(|entry| entry.change.clone()).collect::<Vec<_>>(),
            changes
        );
        assert_eq!(last_rollback(&found), Some((4, 9)));
        let pending = of_config(found);
        assert!(
            pending.iter().all(|(_, changes)| !changes.contains_key("steps")),
            "a resumed run is told its length anew"
        );
        assert_eq!(pending.iter().map(|(step, _)| *step).collect::<Vec<_>>(), [2, 4, 6]);
        let given = TrainConfig::default();
        for (step, lr, temperature) in [(1, given.optim.lr, 1.0), (4, 0.25, 0.5), (6, 0.125, 0.5)] {
            let config = replayed(&given, &pending, step).expect("valid");
            assert_eq!((config.optim.lr, config.rollout.temperature), (lr, temperature));
        }
    }

    #[test]
    fn what_must_stay_is_refused_by_name() {
        for (changes, field) in [
            (json!({"optim": {"lr": 1e-4}}), None),
            (json!({"rollout": {"temperature": 0.7, "top_k": null}}), None),
            (json!({}), Some("")),
            (json!({"seed": 1}), Some("seed")),
            (json!({"rollout": {"n": 4}}), Some("rollout.n")),
            (json!({"optim": {"beta1": 0.5}}), Some("optim.beta1")),
            (json!({"optim": 3}), Some("optim")),
            (json!({"reward": {"endpoints": {"x": {}}}}), Some("reward.endpoints.x")),
        ] {
            let found = check(&keys(changes.clone())).err().map(|error| match error {
                TrainError::Config { field, .. } => field,
                other => panic!("{other}"),
            });
            assert_eq!(found.as_deref(), field, "{changes}");
        }
    }
}
