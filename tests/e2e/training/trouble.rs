//! Runs of the real binary that meet trouble: one problem only, damaged checkpoints, a full disk.

use std::path::{Path, PathBuf};

use serde_json::json;
use svs_trainer::run::config::Recipe;
use svs_trainer::run::{RunState, history};

use super::kill::{BENCH, learned, weights};
use super::modes::copy;
use super::process::Process;
use super::toy::{Parts, config, question, save_model};

#[test]
fn one_problem_is_enough_for_a_run() {
    for recipe in [Recipe::Grpo, Recipe::Svs] {
        let folder = tempfile::tempdir().unwrap();
        let mut config = config(folder.path(), recipe, 4);
        let only = json!({"id": "only", "question": question(7, 0), "answer": "7"});
        std::fs::write(&config.problems.files[0], format!("{only}\n")).unwrap();
        config.problems.train_batch_size = 3;
        let parts = Parts::open(folder.path());
        parts.trainer.start(config, false).unwrap();
        let status = parts.trainer.wait();
        assert_eq!((status.state, status.error), (RunState::Finished, None), "{recipe:?}");
        let records = history::read(&folder.path().join("toy")).unwrap();
        let of = |name: &str| -> Vec<f64> {
            let each = records.iter().filter_map(|record| record.metrics.get(name));
            each.copied().collect()
        };
        // The problem comes three times in each step, and every step is an epoch further by three.
        assert_eq!(of("svs/solve/groups"), [3.0; 4], "{recipe:?}");
        assert_eq!(of("training/epoch"), [0.0, 3.0, 6.0, 9.0], "{recipe:?}");
        // What is not finite is left out of the history: all that a step measures must be there.
        let updates = of("training/optimizer_steps")
            .iter()
            .filter(|steps| **steps > 0.0)
            .count();
        assert!(updates > 0, "{recipe:?} learned nothing");
        for name in ["actor/pg_loss", "actor/grad_norm", "actor/entropy"] {
            assert_eq!(of(name).len(), updates, "{recipe:?}: {name} in {records:?}");
        }
        assert_eq!(of("critic/score/mean").len(), 4, "{recipe:?}");
        if recipe == Recipe::Svs {
            assert!(of("svs/valid").iter().sum::<f64>() > 0.0, "no problem was written");
        }
    }
}

/// Damages a checkpoint in its folder.
type Harm = fn(&Path);

fn flip(checkpoint: &Path) {
    let path = checkpoint.join("params.f32");
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(path, bytes).unwrap();
}

fn cut(checkpoint: &Path) {
    let file = std::fs::OpenOptions::new()
        .write(true)
        .open(checkpoint.join("params.f32"));
    file.unwrap().set_len(1000).unwrap();
}

fn unlist(checkpoint: &Path) {
    std::fs::remove_file(checkpoint.join("manifest.json")).unwrap();
}

#[test]
fn a_run_whose_newest_checkpoint_is_damaged_goes_on_from_the_one_before() {
    let bench = &*BENCH;
    let rows: [(&str, Harm, &str); 3] = [
        ("flipped", flip, "params.f32: its checksum is not that of the manifest"),
        ("cut", cut, "params.f32: 1000 bytes instead of"),
        ("unlisted", unlist, "manifest.json: "),
    ];
    for (name, harm, said_of_it) in rows {
        let runs = bench.runs(name);
        copy(&bench.runs("straight"), &runs);
        let checkpoints = runs.join("toy/checkpoints");
        harm(&checkpoints.join("step-00000012"));
        let (status, said) = bench.start_with(&runs, &["--resume"], None).last_words();
        assert!(status.success(), "{name}: {said}");
        for part in ["step-00000012", said_of_it, "goes on after step 9"] {
            assert!(said.contains(part), "{name}: {part}: {said}");
        }
        bench.compare(&runs, name);

        // The step has a second checkpoint now; without any that is intact there is nothing to go on from.
        for found in std::fs::read_dir(&checkpoints)
            .unwrap()
            .map(|found| found.unwrap().path())
        {
            let _ = std::fs::remove_file(found.join("manifest.json"));
        }
        let before = std::fs::read(runs.join("toy/metrics.jsonl")).unwrap();
        let (status, said) = bench.start_with(&runs, &["--resume"], None).last_words();
        assert!(
            !status.success() && said.contains("no intact checkpoint in "),
            "{name}: {said}"
        );
        assert!(said.contains("step-00000012.1: manifest.json"), "{name}: {said}");
        assert_eq!(std::fs::read(runs.join("toy/metrics.jsonl")).unwrap(), before, "{name}");
    }
}

/// A supervised run of the toy model that nothing interrupts, and its parts.
struct Taught {
    folder: tempfile::TempDir,
    model: PathBuf,
    toml: PathBuf,
}

impl Taught {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let line = |digit: usize| json!({"prompt": question(digit, 0), "completion": digit.to_string()});
        let lines: String = (0..8).map(|digit| format!("{}\n", line(digit))).collect();
        let answers = folder.path().join("answers.jsonl");
        std::fs::write(&answers, lines).unwrap();
        let toml = folder.path().join("run.toml");
        let text = format!(
            "recipe = \"sft\"\nrun_id = \"toy\"\n[problems]\nsource = \"files\"\nfiles = [{}]\ntrain_batch_size = 2\n\
             [checkpoint]\nsave_freq = 2\n[optim]\nlr = 1e-3\n",
            json!(answers)
        );
        std::fs::write(&toml, text).unwrap();
        let model = save_model(folder.path());
        Self { folder, model, toml }
    }

    /// The run of `steps` in a folder of this name; with `bytes`, no file may be larger.
    fn start(&self, name: &str, steps: &str, more: &[&str], bytes: Option<u64>) -> Process {
        let text = |path: &Path| path.to_str().unwrap().to_owned();
        let runs = self.folder.path().join(name);
        let (model, toml, runs) = (text(&self.model), text(&self.toml), text(&runs));
        let arguments = [
            "train", "--model", &model, "--config", &toml, "--runs", &runs, "--steps", steps,
        ];
        let arguments = [&arguments, more].concat();
        match bytes {
            None => Process::start(&arguments),
            Some(bytes) => Process::start_within(bytes, &arguments),
        }
    }

    fn run(&self, name: &str) -> PathBuf {
        self.folder.path().join(name).join("toy")
    }
}

#[test]
fn a_disk_too_small_for_a_checkpoint_or_the_model_ends_the_run_and_harms_nothing() {
    let taught = Taught::new();
    taught.start("whole", "6", &[], None).finish();
    let size = |path: &str| std::fs::metadata(taught.run("whole").join(path)).unwrap().len();
    let (checkpoint, model) = (
        size("checkpoints/step-00000006/params.f32"),
        size("model/model.safetensors"),
    );
    assert!(model >= checkpoint + 1024, "there is a limit between them");
    // Largest file, what the error names, steps in the history then: the checkpoint after step 4 fails, or the model.
    let rows = [
        ("checkpoint", checkpoint - 1024, "step-00000004/params.f32: ", 4),
        ("model", checkpoint + 511, "/model.safetensors: ", 6),
    ];
    for (name, bytes, file, logged) in rows {
        taught.start(name, "3", &[], None).finish();
        let run = taught.run(name);
        let before = weights(&run);
        let (status, said) = taught.start(name, "6", &["--resume"], Some(bytes)).last_words();
        assert_eq!(status.code(), Some(1), "{name}: {said}");
        assert!(said.contains(file) && said.contains("File too large"), "{name}: {said}");
        let place = format!("after {logged} of 6 steps: ");
        assert!(said.contains(&place), "{name}: {said}");
        assert_eq!(learned(&run), learned(&taught.run("whole"))[..logged], "{name}");
        assert!(weights(&run) == before, "{name}: the model of before is gone");
        taught.start(name, "6", &["--resume"], None).finish();
        assert_eq!(learned(&run), learned(&taught.run("whole")), "{name}");
        assert!(
            weights(&run) == weights(&taught.run("whole")),
            "{name}: the weights differ"
        );
    }
}

#[test]
fn a_disk_too_small_for_the_trajectories_ends_the_run_which_goes_on_when_there_is_room() {
    let bench = &*BENCH;
    let runs = bench.runs("small");
    bench.start_with(&runs, &["--steps", "6"], None).finish();
    // Enough for the checkpoints, but not for the log of six more steps.
    let (status, said) = bench.resume_within(&runs, 512 << 10).last_words();
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(said.contains("trajectory log: "), "{said}");
    let done = learned(&runs.join("toy"));
    let whole = learned(&bench.runs("straight").join("toy"));
    assert!((6..12).contains(&done.len()), "{} steps", done.len());
    assert_eq!(done, whole[..done.len()]);
    bench.start_with(&runs, &["--resume"], None).finish();
    bench.compare(&runs, "a small disk");
}
