//! What is recorded, and runs whose weights break.

use super::*;
use crate::policy::testing::brittle_model;
use crate::run::testing::run;
use crate::run::{RunState, TrainStatus, history};

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

/// The causes in the records of the run.
fn causes(folder: &Path) -> Vec<String> {
    let folder = folder.join("runs/broken").join(FOLDER);
    let files = std::fs::read_dir(folder).expect("records");
    let read = |path| serde_json::from_slice::<SkippedStep>(&std::fs::read(path).expect("readable")).expect("a record");
    files
        .map(|file| read(file.expect("a file").path()))
        .inspect(|skipped| assert!(!skipped.rows.is_empty()))
        .map(|skipped| skipped.cause)
        .collect()
}

/// The run stopped at the third skipped step, and says so.
fn stopped_at_the_third(folder: &Path, status: &TrainStatus) {
    let error = status.error.clone().unwrap_or_default();
    assert_eq!(status.state, RunState::Failed, "{error}");
    for said in [
        "3 optimizer steps",
        "logits at position",
        "max_skipped_steps = 2",
        FOLDER,
    ] {
        assert!(error.contains(said), "{error}");
    }
    let causes = causes(folder);
    assert_eq!(causes.len(), 3);
    assert!(
        causes.iter().all(|cause| cause.starts_with("logits at position")),
        "{causes:?}"
    );
}

#[test]
fn a_supervised_run_with_broken_weights_stops_after_the_steps_it_may_skip() {
    let folder = tempfile::tempdir().expect("a folder");
    let line = serde_json::json!({"prompt": "Say 4.", "completion": "4"});
    let file = folder.path().join("taught.jsonl");
    std::fs::write(&file, format!("{line}\n").repeat(8)).expect("writes");
    let toml = format!(
        "recipe = \"sft\"\nsteps = 8\nrun_id = \"broken\"\n[optim]\nlr = 10.0\nweight_decay = 10.0\n\
         [problems]\nsource = \"files\"\nfiles = [{}]\ntrain_batch_size = 2\n\
         [algorithm]\nmax_skipped_steps = 2\n",
        serde_json::json!(file)
    );
    let status = run(brittle_model(1), folder.path(), &toml);
    stopped_at_the_third(folder.path(), &status);
    let records = history::read(&folder.path().join("runs/broken")).expect("a history");
    let skipped: Vec<f64> = records
        .iter()
        .map(|record| record.metrics["training/skipped_steps"])
        .collect();
    // The first step broke the weights, two were skipped, the third of those stopped the run.
    assert_eq!(skipped, [0.0, 1.0, 1.0]);
}

#[test]
fn a_run_whose_weights_break_within_an_update_stops_after_the_steps_it_may_skip() {
    let folder = tempfile::tempdir().expect("a folder");
    // Nothing random weights say is right, but responses that end early cost less.
    let toml = "recipe = \"grpo\"\nsteps = 3\nrun_id = \"broken\"\n[optim]\nlr = 10.0\nweight_decay = 10.0\n\
        [problems]\ntrain_batch_size = 4\nprocedural_count = 8\n\
        [rollout]\nn = 16\nmax_prompt_length = 200\nmax_response_length = 48\n\
        [prompts]\nsolve = \"{question}\"\n\
        [algorithm]\nmax_skipped_steps = 2\nppo_epochs = 4\nfilter_groups = false\noverlong_buffer.len = 40\n";
    let status = run(brittle_model(1), folder.path(), toml);
    stopped_at_the_third(folder.path(), &status);
    let records = history::read(&folder.path().join("runs/broken")).expect("a history");
    assert!(
        records.is_empty(),
        "the weights that broke were learned from and served: {records:?}"
    );
}
