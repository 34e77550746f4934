//! Training on nothing but what HTTP clients made.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use svs_trainer::TrajectoryLog;
use svs_trainer::log::ListQuery;
use svs_trainer::trajectory::Kind;

use super::process::{Process, get, post};
use super::toy::{question, save_model};

const STEPS: u64 = 60;

/// Asks one question 16 times; returns the share of right answers and the versions that answered.
fn ask(url: &str, turn: usize) -> (f64, BTreeSet<u64>) {
    let wording = turn % 4;
    // Every other request brings its grader, the others a reference answer.
    let mut metadata = json!({"problem_id": format!("wording-{wording}")});
    match wording % 2 {
        0 => metadata["reference"] = "7".into(),
        _ => metadata["grader"] = r#"{"type": "regex", "name": "seven", "pattern": "\\\\boxed\\{7\\}"}"#.into(),
    }
    let body = json!({
        "model": "toy", "n": 16, "max_tokens": 24, "temperature": 1.0, "seed": turn,
        "messages": [{"role": "user", "content": question(7, wording)}],
        "metadata": metadata,
    });
    let answer = post(url, "/v1/chat/completions", &body);
    let choices = answer["choices"].as_array().unwrap();
    let right = choices
        .iter()
        .filter(|choice| choice["message"]["content"].as_str().unwrap().contains("\\boxed{7}"));
    let versions = BTreeSet::from([answer["weight_version"].as_u64().unwrap()]);
    (right.count() as f64 / choices.len() as f64, versions)
}

#[test]
fn the_policy_moves_on_client_trajectories_alone() {
    let folder = tempfile::tempdir().unwrap();
    let (model, runs) = (save_model(folder.path()), folder.path().join("runs"));
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    let arguments = [
        "--model",
        &text(&model),
        "--served-model-name",
        "toy",
        "--runs",
        &text(&runs),
    ];
    let (mut process, url) = Process::serve(&arguments);
    let config = json!({
        "recipe": "grpo", "steps": STEPS, "run_id": "clients", "problems": {"source": "trajectories"},
        "trajectories": {"groups_per_step": 2, "poll_ms": 5, "idle_timeout_s": 60.0},
        "optim": {"lr": 3e-3, "weight_decay": 0.0}, "checkpoint": {"save_freq": 5},
    });
    let started = post(&url, "/v1/train/start", &json!({"config": config}));
    assert_eq!(started["state"], "running");
    let (mut shares, mut versions) = (Vec::new(), BTreeSet::new());
    let status = loop {
        // Clients that run far ahead of the trainer teach it with stale groups. It may be waiting for one, so do not wait long.
        for _ in 0..20 {
            if shares.len() as u64 <= 2 * get(&url, "/v1/train/status")["step"].as_u64().unwrap() + 6 {
                break;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        let (share, seen) = ask(&url, shares.len());
        shares.push(share);
        versions.extend(seen);
        let status = get(&url, "/v1/train/status");
        // An all-right group teaches nothing, so a policy that has learned never fills the last step.
        if status["state"] != "running" || shares.len() > 400 || shares.iter().rev().take(20).sum::<f64>() > 19.0 {
            break status;
        }
    };
    assert_eq!(status["error"], Value::Null, "{status}");
    let mean = |part: &[f64]| part.iter().sum::<f64>() / part.len() as f64;
    let (before, after) = (mean(&shares[..6]), mean(&shares[shares.len() - 6..]));
    assert!(
        before < 0.4 && after > before + 0.4,
        "right answers {before:.2} -> {after:.2}"
    );
    assert!(versions.len() > 5, "clients saw the policy change: {versions:?}");
    process.kill();

    let log = TrajectoryLog::open(&runs.join("trajectories.sqlite")).unwrap();
    let rows = log
        .list(&ListQuery {
            limit: 1000,
            ..ListQuery::default()
        })
        .unwrap();
    assert!(
        rows.iter().all(|row| row.trajectory.kind == Kind::Client),
        "the trainer sampled nothing of its own"
    );
    assert!(rows.iter().filter(|row| row.trained_at.is_some()).count() > 100);
}
