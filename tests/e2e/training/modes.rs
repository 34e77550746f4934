//! Runs that begin at a checkpoint of another one, and runs that sample and train at once.

use std::path::Path;

use svs_trainer::run::history;

use super::kill::{BENCH, learned, weights};

pub(super) fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).unwrap();
        }
    }
}

#[test]
fn a_fork_goes_on_from_its_checkpoint_as_the_run_itself_did() {
    let bench = &*BENCH;
    // Forks lie beside their origin, whose log is not to be touched.
    let runs = bench.runs("forks");
    copy(&bench.runs("straight").join("toy"), &runs.join("toy"));
    let fork = |id: &str, from: &str, more: &[&str]| {
        let from = format!("fork_from={from}");
        let arguments = [&["--run-id", id, "--set", &from], more].concat();
        bench.start_with(&runs, &arguments, None).end()
    };
    assert!(fork("same", "toy@9", &[]).success());
    assert!(
        weights(&runs.join("same")) == weights(&runs.join("toy")),
        "the weights differ"
    );
    // The count of tokens is the fork's own.
    let of = |run: &str| {
        let mut steps = learned(&runs.join(run));
        let counted = steps
            .iter_mut()
            .filter_map(|(_, metrics)| metrics.remove("training/generated_tokens"));
        let counts: Vec<f64> = counted.collect();
        (steps, counts)
    };
    let ((whole, all), (forked, own)) = (of("toy"), of("same"));
    assert!((all[11] - all[8] - own[2]).abs() < 0.5, "{all:?} {own:?}");
    assert_eq!(whole[9..], forked, "steps 10 to 12");
    // Another configuration from the same point; a fork is resumed like any run.
    assert!(fork("other", "toy@9", &["--set", "optim.lr=1e-3"]).success());
    assert!(weights(&runs.join("other")) != weights(&runs.join("toy")));
    for from in ["toy@4", "nobody", "../straight/toy", "toy@12x"] {
        assert!(!fork("refused", from, &[]).success(), "{from}");
    }
    assert!(!runs.join("refused/config.toml").exists());
}

#[test]
fn an_asynchronous_run_is_one_version_behind_and_loses_nothing() {
    let bench = &*BENCH;
    let runs = bench.runs("async");
    let mode = ["--set", "mode=async"];
    assert!(bench.start_with(&runs, &mode, None).end().success());
    let records = history::read(&runs.join("toy")).unwrap();
    assert_eq!(records.len(), 12);
    for (at, record) in records.iter().enumerate() {
        let behind = record.metrics["training/off_policy/max_versions_behind"];
        let updated = at > 0 && records[at - 1].metrics["training/optimizer_steps"] > 0.0;
        let groups = record.metrics["training/groups"];
        assert_eq!(
            behind,
            if updated && groups > 0.0 { 1.0 } else { 0.0 },
            "step {}",
            record.step
        );
    }
    // Sampled while the weights moved on, yet from one version: twice the same bits.
    let again = bench.runs("async-again");
    assert!(bench.start_with(&again, &mode, None).end().success());
    assert_eq!(learned(&runs.join("toy")), learned(&again.join("toy")));
    assert!(
        weights(&runs.join("toy")) == weights(&again.join("toy")),
        "the weights differ"
    );
    assert!(weights(&runs.join("toy")) != weights(&bench.runs("straight").join("toy")));
}
