//! `kill -9` in the middle of training, `--resume`, and everything is as if it had not happened.

use std::collections::HashSet;
use std::path::Path;
use std::time::{Duration, Instant};

use svs_trainer::TrajectoryLog;
use svs_trainer::log::ListQuery;
use svs_trainer::run::config::Recipe;
use svs_trainer::run::history;

use super::process::Process;
use super::toy::{config, save_model};

/// Ids in the log with their marks, newest first.
fn logged(runs: &Path) -> Vec<(String, bool)> {
    let log = TrajectoryLog::open(&runs.join("trajectories.sqlite")).unwrap();
    let mut query = ListQuery {
        limit: 1000,
        ..ListQuery::default()
    };
    let mut rows = Vec::new();
    loop {
        let page = log.list(&query).unwrap();
        let Some(last) = page.last() else { return rows };
        query.before_seq = Some(last.seq);
        rows.extend(
            page.into_iter()
                .map(|row| (row.trajectory.id, row.trained_at.is_some())),
        );
    }
}

#[test]
fn a_killed_run_resumes_without_losing_or_repeating_anything() {
    let folder = tempfile::tempdir().unwrap();
    let model = save_model(folder.path());
    let mut config = config(folder.path(), Recipe::Svs, 12);
    config.checkpoint.save_freq = 3;
    let toml = folder.path().join("run.toml");
    std::fs::write(&toml, config.to_toml().unwrap()).unwrap();
    let (straight, killed) = (folder.path().join("straight"), folder.path().join("killed"));
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    let (model, toml) = (text(&model), text(&toml));
    let arguments = |runs: &Path, resume: bool| {
        let mut list: Vec<String> = ["train", "--model", &model, "--config", &toml, "--runs", &text(runs)]
            .map(String::from)
            .into();
        list.extend(resume.then(|| "--resume".to_owned()));
        list
    };
    let start = |runs: &Path, resume: bool| {
        let list = arguments(runs, resume);
        Process::start(&list.iter().map(String::as_str).collect::<Vec<_>>())
    };
    start(&straight, false).finish();

    // Killed twice, at different distances from the last checkpoint and anywhere inside a step.
    for (resume, steps, wait_ms) in [(false, 4, 7), (true, 8, 23)] {
        let mut process = start(&killed, resume);
        let deadline = Instant::now() + Duration::from_secs(120);
        let done = || history::read(&killed.join("toy")).map_or(0, |records| records.len());
        while done() < steps {
            assert!(!process.has_ended() && Instant::now() < deadline, "{} steps", done());
            std::thread::sleep(Duration::from_millis(1));
        }
        std::thread::sleep(Duration::from_millis(wait_ms));
        assert!(!process.has_ended(), "the run was over before it could be killed");
        process.kill();
    }
    start(&killed, true).finish();

    let weights = |runs: &Path| std::fs::read(runs.join("toy/model/model.safetensors")).unwrap();
    assert!(weights(&straight) == weights(&killed), "the weights differ");
    let (whole, parted) = (logged(&straight), logged(&killed));
    let ids: HashSet<&String> = parted.iter().map(|(id, _)| id).collect();
    assert_eq!(ids.len(), parted.len(), "an id is in the log twice");
    let sorted = |rows: &[(String, bool)]| {
        let mut rows = rows.to_vec();
        rows.sort();
        rows
    };
    assert_eq!(
        sorted(&whole),
        sorted(&parted),
        "a trajectory was lost, repeated or marked differently"
    );
}
