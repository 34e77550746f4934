//! A disk that is full for one of a run's files: the run ends and names it, what was logged stays, and when there is room again
//! it goes on as if nothing had happened.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;

use svs_engine::load::LoadedModel;

use crate::policy::testing::{brittle_model, tiny_model};
use crate::run::claim::claim;
use crate::run::control::Control;
use crate::run::runner::{Runner, Surroundings};
use crate::run::testing::parts;
use crate::run::{RunState, TrainConfig, TrainerHandle, history};

/// Steps before the disk is full, and in all.
const BEFORE: u64 = 3;
const STEPS: u64 = 6;

struct Case {
    /// What the error names.
    file: &'static str,
    model: fn(u64) -> LoadedModel,
    /// Keys of `[optim]`.
    optim: &'static str,
    /// Fills the disk for one file of the run in this folder.
    fill: fn(&mut Runner, &Path),
    /// Makes room.
    clear: fn(&Path),
    /// Steps that are in the history when the run has ended.
    logged: usize,
}

/// The record of the optimizer step that is skipped in step 4.
const RECORD: &str = "skipped_steps/step-4-0.json";
/// Where the checkpoint after step 4 is written.
const CHECKPOINT: &str = "checkpoints/.part-step-00000004";

const CASES: [Case; 4] = [
    Case {
        file: "metrics.jsonl: No space left on device",
        model: tiny_model,
        optim: "lr = 1e-3",
        fill: |runner, _| runner.history.fill_disk(),
        clear: |_| {},
        logged: 3,
    },
    Case {
        file: ".svs: No space left on device",
        model: tiny_model,
        optim: "lr = 1e-3",
        fill: |runner, _| runner.events.as_mut().expect("tensorboard = true").fill_disk(),
        clear: |_| {},
        logged: 4,
    },
    Case {
        file: "skipped_steps/step-4-0.json: No space left on device",
        model: brittle_model,
        optim: "lr = 10.0\nweight_decay = 10.0",
        fill: |_, run| {
            std::fs::create_dir_all(run.join("skipped_steps")).expect("made");
            symlink("/dev/full", run.join(RECORD)).expect("made");
        },
        clear: |run| std::fs::remove_file(run.join(RECORD)).expect("removed"),
        logged: 3,
    },
    Case {
        file: CHECKPOINT,
        model: tiny_model,
        optim: "lr = 1e-3",
        fill: |_, run| std::fs::write(run.join(CHECKPOINT), "in the way").expect("written"),
        clear: |run| std::fs::remove_file(run.join(CHECKPOINT)).expect("removed"),
        logged: 4,
    },
];

fn config(folder: &Path, optim: &str, steps: u64) -> TrainConfig {
    let line = |at: usize| serde_json::json!({"prompt": format!("Say {at}."), "completion": at.to_string()});
    let lines: Vec<String> = (0..8).map(|at| line(at).to_string()).collect();
    let file = folder.join("taught.jsonl");
    std::fs::write(&file, lines.join("\n")).expect("written");
    let toml = format!(
        "recipe = \"sft\"\nsteps = {steps}\nrun_id = \"full\"\n[problems]\nsource = \"files\"\nfiles = [{}]\n\
         train_batch_size = 2\n[checkpoint]\nsave_freq = 2\n[algorithm]\nmax_skipped_steps = 9\n[optim]\n{optim}\n",
        serde_json::json!(file)
    );
    TrainConfig::from_toml(&toml).expect("valid")
}

/// Starts or resumes the run, which reaches its end.
fn reach(trainer: &TrainerHandle, config: TrainConfig, resume: bool, what: &str) {
    let steps = config.steps;
    trainer.start(config, resume).expect(what);
    let status = trainer.wait();
    assert_eq!(
        (status.state, status.error, status.step),
        (RunState::Finished, None, steps),
        "{what}"
    );
}

/// Losses and skipped steps of the run, as bits.
fn losses(run: &Path) -> Vec<(u64, Option<u64>, u64)> {
    let of = |record: history::Record| {
        let bits = |name: &str| record.metrics.get(name).map(|value| value.to_bits());
        let skipped = bits("training/skipped_steps").expect("counted");
        (record.step, bits("train/loss"), skipped)
    };
    history::read(run).expect("a history").into_iter().map(of).collect()
}

fn weights(run: &Path) -> Vec<u8> {
    std::fs::read(run.join("model/model.safetensors")).expect("a saved model")
}

#[test]
fn a_run_on_a_full_disk_names_the_file_and_goes_on_when_there_is_room() {
    for case in CASES {
        let whole = tempfile::tempdir().expect("a folder");
        let (_, _, trainer) = parts((case.model)(1), whole.path());
        reach(&trainer, config(whole.path(), case.optim, STEPS), false, case.file);
        let whole = whole.path().join("runs/full");
        assert_eq!(losses(&whole).len() as u64, STEPS);

        let folder = tempfile::tempdir().expect("a folder");
        let run = folder.path().join("runs/full");
        let model = (case.model)(1);
        let (engine, log, trainer) = parts(model.clone(), folder.path());
        reach(&trainer, config(folder.path(), case.optim, BEFORE), false, case.file);

        let config = config(folder.path(), case.optim, STEPS);
        let around = Surroundings {
            engine,
            model: Arc::new(model),
            log,
            runs: folder.path().join("runs"),
        };
        let named = claim(&around.runs, &config, true).expect("the run is there");
        let control = Arc::<Control>::default();
        control.claim(&named.0, STEPS).expect("free");
        let mut runner = Runner::open(Arc::new(around), control, config.clone(), named, true).expect("opens");
        (case.fill)(&mut runner, &run);
        let error = runner.run().expect_err(case.file).to_string();
        assert!(error.contains(case.file), "{}: {error}", case.file);
        assert!(error.contains(folder.path().to_str().expect("UTF-8")), "{error}");
        assert_eq!(losses(&run), losses(&whole)[..case.logged], "{}", case.file);

        (case.clear)(&run);
        reach(&trainer, config, true, case.file);
        assert_eq!(losses(&run), losses(&whole), "{}", case.file);
        assert!(weights(&run) == weights(&whole), "{}: the weights differ", case.file);
    }
}
