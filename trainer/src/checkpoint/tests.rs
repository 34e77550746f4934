//! Checkpoints on real folders: round trip, every possible failure while writing, every kind of damage, retention.

use std::io::{self, Write};
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;

use super::disk::Sink;
use super::*;
use crate::optim::{AdamW, OptimConfig};
use crate::policy::testing::tiny_model;

/// A policy that has taken `steps` optimizer steps with made-up gradients.
fn policy(steps: u64) -> Policy {
    let mut policy = Policy::new(tiny_model(1), 10 + steps);
    let mut optimizer = AdamW::new(policy.params().values.len());
    for step in 0..steps {
        let mut grads = policy.params().clone();
        grads
            .values
            .iter_mut()
            .for_each(|grad| *grad = (*grad + step as f32).sin());
        let _ = policy.step_with(
            &mut optimizer,
            &grads,
            &OptimConfig {
                lr: 0.01,
                ..OptimConfig::default()
            },
        );
    }
    let values = policy.params().values.clone();
    policy
        .restore(values, (steps > 0).then_some(optimizer), 10 + steps)
        .expect("fits");
    policy
}

fn state(step: u64) -> serde_json::Value {
    json!({"consumed": [format!("id-{step}")], "seed": u64::MAX, "third": 1.0 / 3.0})
}

fn assert_same(found: &Policy, wanted: &Policy) {
    assert!(found.params() == wanted.params(), "parameters differ");
    assert!(found.optimizer() == wanted.optimizer(), "optimizer state differs");
    assert_eq!(found.version(), wanted.version());
}

fn assert_latest(folder: &Path, wanted: u64) -> Restored {
    let mut found = Policy::new(tiny_model(2), 0);
    let restored = CheckpointStore::open(folder, 9)
        .expect("opens")
        .load_latest(&mut found)
        .expect("reads")
        .expect("exists");
    assert_eq!((restored.step, &restored.run_state), (wanted, &state(wanted)));
    assert_same(&found, &policy(wanted));
    restored
}

#[test]
fn a_checkpoint_comes_back_bit_for_bit() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = CheckpointStore::open(&folder.path().join("a/b"), 3).expect("opens");
    assert_eq!(store.load_latest(&mut policy(0)).expect("reads"), None);
    for step in [0, 3] {
        let path = store.save(&policy(step), step, &state(step)).expect("saves");
        assert_eq!(assert_latest(&folder.path().join("a/b"), step).path, path);
    }
}

#[test]
fn saving_a_step_again_keeps_the_first_and_prefers_the_last() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = CheckpointStore::open(folder.path(), 3).expect("opens");
    let first = store.save(&policy(1), 2, &state(1)).expect("saves");
    let second = store.save(&policy(2), 2, &state(2)).expect("saves");
    assert!(first != second && first.exists());
    assert_eq!(assert_latest(folder.path(), 2).path, second);
}

#[test]
fn only_the_newest_are_kept() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = CheckpointStore::open(folder.path(), 2).expect("opens");
    for step in [9, 10, 100, 1000] {
        let _ = store.save(&policy(0), step, &state(step)).expect("saves");
    }
    assert_eq!(store.checkpoints().expect("lists"), [(100, 0), (1000, 0)]);
    assert_eq!(store.names().expect("lists").len(), 2, "nothing else is left");
}

#[test]
fn a_damaged_checkpoint_of_a_later_step_pushes_none_out() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = CheckpointStore::open(folder.path(), 1).expect("opens");
    flip(&store.save(&policy(9), 9, &state(9)).expect("saves").join("params.f32"));
    for step in [4, 6] {
        let _ = store.save(&policy(step), step, &state(step)).expect("saves");
        let restored = assert_latest(folder.path(), step);
        assert_eq!(restored.skipped.len(), 1, "{restored:?}");
    }
    assert_eq!(store.checkpoints().expect("lists"), [(6, 0), (9, 0)]);
}

/// Fails the `n`-th operation and, as after a crash, all that follow.
#[derive(Debug)]
struct Failing {
    left: Arc<AtomicUsize>,
    kind: io::ErrorKind,
}

struct FailingSink(Box<dyn Sink>, Arc<AtomicUsize>, io::ErrorKind);

fn tick(left: &AtomicUsize, kind: io::ErrorKind) -> io::Result<()> {
    match left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)) {
        Ok(1..) => Ok(()),
        _ => Err(kind.into()),
    }
}

impl Write for FailingSink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // Half of the bytes get through before the disk is full.
        match tick(&self.1, self.2) {
            Ok(()) => self.0.write(bytes),
            Err(error) => self.0.write_all(&bytes[..bytes.len() / 2]).and(Err(error)),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl Sink for FailingSink {
    fn sync(&mut self) -> io::Result<()> {
        tick(&self.1, self.2)?;
        self.0.sync()
    }
}

impl Disk for Failing {
    fn create_folder(&self, path: &Path) -> io::Result<()> {
        tick(&self.left, self.kind)?;
        FileSystem.create_folder(path)
    }

    fn create_file(&self, path: &Path) -> io::Result<Box<dyn Sink>> {
        tick(&self.left, self.kind)?;
        Ok(Box::new(FailingSink(
            FileSystem.create_file(path)?,
            Arc::clone(&self.left),
            self.kind,
        )))
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        tick(&self.left, self.kind)?;
        FileSystem.sync_folder(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        tick(&self.left, self.kind)?;
        FileSystem.rename(from, to)
    }

    fn remove_folder(&self, path: &Path) -> io::Result<()> {
        tick(&self.left, self.kind)?;
        FileSystem.remove_folder(path)
    }
}

#[test]
fn a_failure_at_any_operation_leaves_the_old_checkpoint_or_the_new_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = CheckpointStore::open(folder.path(), 1).expect("opens");
    let _ = store.save(&policy(1), 1, &state(1)).expect("saves");
    let mut failures = 0;
    loop {
        let kind = if failures % 2 == 0 {
            io::ErrorKind::StorageFull
        } else {
            io::ErrorKind::Other
        };
        let left = Arc::new(AtomicUsize::new(failures + 1));
        let failing = CheckpointStore {
            disk: Arc::new(Failing {
                left: Arc::clone(&left),
                kind,
            }),
            ..store.clone()
        };
        let saved = failing.save(&policy(2), 2, &state(2));
        let ran_out = left.load(Ordering::SeqCst) == 0;
        match (&saved, kind) {
            (Ok(_), _) => {
                let _ = assert_latest(folder.path(), 2);
            }
            (Err(CheckpointError::DiskFull { .. }), io::ErrorKind::StorageFull)
            | (Err(CheckpointError::File { .. }), io::ErrorKind::Other) => {
                // Only the very last sync may fail after the new folder is in place; it is then intact.
                let step = if folder.path().join("step-00000002").exists() {
                    2
                } else {
                    1
                };
                let _ = assert_latest(folder.path(), step);
            }
            (Err(error), kind) => panic!("{error} for {kind:?}"),
        }
        if saved.is_ok() && !ran_out {
            break;
        }
        let _ = std::fs::remove_dir_all(folder.path().join("step-00000002"));
        if !folder.path().join("step-00000001").exists() {
            let _ = store.save(&policy(1), 1, &state(1)).expect("saves");
        }
        failures += 1;
    }
    assert!(failures > 15, "only {failures} operations were seen");
    assert_eq!(store.names().expect("lists"), ["step-00000002"], "nothing is left over");
}

#[test]
fn a_folder_that_cannot_be_written_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let blocked = folder.path().join("file");
    std::fs::write(&blocked, "x").expect("writes");
    let error = CheckpointStore::open(&blocked, 1)
        .expect_err("a file is in the way")
        .to_string();
    assert!(error.contains("file"), "{error}");
    let store = CheckpointStore::open(&folder.path().join("c"), 1).expect("opens");
    std::fs::write(folder.path().join("c/.part-step-00000001"), "in the way").expect("writes");
    let error = store
        .save(&policy(0), 1, &state(1))
        .expect_err("a file is in the way")
        .to_string();
    assert!(error.contains("step-00000001"), "{error}");
}

#[test]
fn damage_falls_back_to_the_checkpoint_before() {
    type Harm = fn(&Path);
    let damage: [(&str, Harm); 7] = [
        ("manifest.json", |folder| {
            std::fs::remove_file(folder.join("manifest.json")).expect("removes")
        }),
        ("manifest.json", |folder| {
            std::fs::write(folder.join("manifest.json"), "{").expect("writes")
        }),
        ("params.f32", |folder| flip(&folder.join("params.f32"))),
        ("second_moments.f32", |folder| flip(&folder.join("second_moments.f32"))),
        ("state.json", |folder| flip(&folder.join("state.json"))),
        ("first_moments.f32", |folder| {
            let file = std::fs::OpenOptions::new()
                .write(true)
                .open(folder.join("first_moments.f32"))
                .expect("opens");
            file.set_len(100).expect("truncates");
        }),
        ("params.f32", |folder| {
            std::fs::remove_file(folder.join("params.f32")).expect("removes")
        }),
    ];
    for (name, harm) in damage {
        let folder = tempfile::tempdir().expect("a folder");
        let store = CheckpointStore::open(folder.path(), 3).expect("opens");
        let _ = store.save(&policy(1), 1, &state(1)).expect("saves");
        harm(&store.save(&policy(2), 2, &state(2)).expect("saves"));
        let restored = assert_latest(folder.path(), 1);
        assert_eq!(restored.skipped.len(), 1);
        assert!(
            restored.skipped[0].contains(name) && restored.skipped[0].contains("step-00000002"),
            "{restored:?}"
        );
        harm(&folder.path().join("step-00000001"));
        let (mut victim, before) = (policy(3), policy(3));
        let error = store.load_latest(&mut victim).expect_err("nothing is intact");
        assert!(matches!(error, CheckpointError::NoneIntact { .. }), "{error}");
        assert_same(&victim, &before);
    }
}

fn flip(path: &Path) {
    let mut bytes = std::fs::read(path).expect("reads");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(path, bytes).expect("writes");
}

#[test]
fn a_checkpoint_of_another_model_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = CheckpointStore::open(folder.path(), 3).expect("opens");
    let _ = store.save(&policy(1), 1, &state(1)).expect("saves");
    let mut other = tiny_model(1);
    other.config.tie_word_embeddings = false;
    other.params = svs_engine::Params::zeros(Arc::new(svs_engine::ParamLayout::of(&other.config)));
    let error = store.load_latest(&mut Policy::new(other, 0)).expect_err("does not fit");
    assert!(matches!(error, CheckpointError::Mismatch { .. }), "{error}");
}

#[test]
fn leftovers_of_a_killed_process_are_removed() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::create_dir_all(folder.path().join(".part-step-00000007/x")).expect("makes");
    let store = CheckpointStore::open(folder.path(), 1).expect("opens");
    assert!(store.names().expect("lists").is_empty());
}
