//! `svs train --dry-run`: the whole configuration that a run would have, and nothing else.

use std::path::Path;
use std::process::Output;

use serde_json::Value;
use svs_trainer::TrainConfig;

use super::process::command;

/// What the command does in an empty folder, where it must leave nothing.
fn dry_run(arguments: &[&str]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let all = [&["train", "--dry-run"], arguments].concat();
    let output = command(&all).current_dir(folder.path()).output().unwrap();
    let left = std::fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(left, 0, "{arguments:?} left something");
    output
}

/// Every key of `config` that has a value is in `printed`.
fn assert_holds(printed: &Value, config: &Value, name: &str) {
    for (key, value) in config.as_object().into_iter().flatten() {
        let name = format!("{name}.{key}");
        if !value.is_null() {
            let found = printed.get(key).unwrap_or_else(|| panic!("{name} is missing"));
            assert_holds(found, value, &name);
        }
    }
}

#[test]
fn every_key_is_printed_and_means_the_same_again() {
    let recipes = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/recipes");
    let at = |name: &str| Path::new(recipes).join(name).to_str().unwrap().to_owned();
    let (sft, dapo) = (at("sft.toml"), at("dapo.toml"));
    let rows: [(&[&str], &str, &[&str]); 5] = [
        (&[], "", &[]),
        (
            &["--recipe", "grpo", "--steps", "7", "--seed", "3", "--run-id", "mine"],
            "",
            &["recipe=grpo", "steps=7", "seed=3", "run_id=mine"],
        ),
        (&["--config", &sft], &sft, &[]),
        (
            &["--config", &dapo, "--set", "rollout.n=16", "--set", "optim.lr=1e-5"],
            &dapo,
            &["rollout.n=16", "optim.lr=1e-5"],
        ),
        // What is set lies over the file, what has an argument of its own over that.
        (
            &[
                "--config",
                &dapo,
                "--set",
                "algorithm.filter_groups=false",
                "--set",
                "algorithm.max_num_gen_batches=1",
                "--set",
                "steps=5",
                "--steps",
                "9",
            ],
            &dapo,
            &[
                "algorithm.filter_groups=false",
                "algorithm.max_num_gen_batches=1",
                "steps=9",
            ],
        ),
    ];
    for (arguments, file, set) in rows {
        let output = dry_run(arguments);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {said}");
        let text = String::from_utf8(output.stdout).unwrap();
        let base = if file.is_empty() {
            String::new()
        } else {
            std::fs::read_to_string(file).unwrap()
        };
        let set: Vec<String> = set.iter().map(|each| (*each).to_owned()).collect();
        let wanted = TrainConfig::from_toml_with(&base, &set).unwrap();
        assert_eq!(TrainConfig::from_toml(&text).unwrap(), wanted, "{arguments:?}");
        let printed: Value = toml::from_str(&text).unwrap();
        assert_holds(&printed, &serde_json::to_value(&wanted).unwrap(), "");
    }
}

#[test]
fn what_cannot_be_set_is_refused_by_name() {
    for (set, named) in [
        ("rollout.n=many", "rollout.n: "),
        ("rollout.n=0", "rollout.n: "),
        ("rollout.nn=3", "rollout.nn: "),
        ("optim.lr=-1", "optim.lr: "),
        ("problems.source=files", "problems.files: "),
        ("rollout.n", "rollout.n"),
        ("rollout=3", "rollout: "),
    ] {
        let output = dry_run(&["--set", set]);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{set}: {said}");
        assert!(said.contains(named) && output.stdout.is_empty(), "{set}: {said}");
    }
}
