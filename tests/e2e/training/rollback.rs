//! Going back to a checkpoint: again and again, to a damaged one, and when the process dies meanwhile.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use svs_trainer::run::config::Recipe;

use super::process::{Process, get, post};
use super::steer::{ask, paused, server};
use super::toy;

fn number(status: &Value, name: &str) -> u64 {
    status[name].as_u64().unwrap_or_else(|| panic!("{name}: {status}"))
}

#[test]
fn a_run_goes_back_again_and_again() {
    let (_folder, server) = server(|config| config.train.checkpoint.keep = 2);
    paused(&server);
    let kept = number(&ask(&server, "checkpoint", &Value::Null), "step");
    let later = number(&ask(&server, "step", &Value::Null), "step");
    // A checkpoint that is there already pushes no other one out.
    for _ in 0..3 {
        ask(&server, "checkpoint", &Value::Null);
    }
    let missing = server.post("/v1/train/rollback", &json!({"step": later + 1})).body;
    let message = missing["error"]["message"].as_str().unwrap();
    assert_eq!(message.matches("(version").count(), 2, "{message}");
    let mut last = 0;
    // One right after the other, before the engine has told of the publish.
    for _ in 0..40 {
        let status = ask(&server, "rollback", &json!({"step": kept}));
        assert_eq!((number(&status, "step"), &status["state"]), (kept, &json!("paused")));
        let version = number(&status, "weight_version");
        assert!(version > last, "{version} after {last}");
        last = version;
    }
    ask(&server, "step", &Value::Null);
}

#[test]
fn a_damaged_checkpoint_is_refused_and_the_run_goes_on() {
    let (_folder, server) = server(|_| {});
    paused(&server);
    let kept = number(&ask(&server, "checkpoint", &Value::Null), "step");
    ask(&server, "step", &Value::Null);
    let folder = server.runs().join(format!("toy/checkpoints/step-{kept:08}"));
    let arena = folder.join("params.f32");
    let mut bytes = std::fs::read(&arena).unwrap();
    bytes[100] ^= 1;
    std::fs::write(&arena, bytes).unwrap();
    let refused = server.post("/v1/train/rollback", &json!({"step": kept}));
    assert_eq!(
        (refused.status, refused.error().1),
        (409, "wrong_state"),
        "{}",
        refused.body
    );
    let status = ask(&server, "step", &Value::Null);
    assert_eq!(
        (number(&status, "step"), &status["state"]),
        (kept + 2, &json!("paused"))
    );
}

fn wait_for(url: &str, state: &str) -> Value {
    let deadline = Instant::now() + Duration::from_secs(300);
    loop {
        let status = get(url, "/v1/train/status");
        if status["state"] == state {
            return status;
        }
        assert!(Instant::now() < deadline, "not {state}: {status}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

#[test]
fn a_rollback_that_was_noted_is_completed_after_a_death() {
    let folder = tempfile::tempdir().unwrap();
    let (model, runs) = (toy::save_model(folder.path()), folder.path().join("runs"));
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    let (model, runs_at, problems) = (text(&model), text(&runs), text(folder.path()));
    let arguments = ["--model", &model, "--runs", &runs_at, "--problems-dir", &problems];
    let mut config = toy::config(folder.path(), Recipe::Grpo, 400);
    (config.checkpoint.save_freq, config.checkpoint.keep) = (1, 9);
    let (mut process, url) = Process::serve(&arguments);
    post(&url, "/v1/train/start", &json!({"config": config}));
    post(&url, "/v1/train/pause", &Value::Null);
    let begun = wait_for(&url, "paused");
    let step = || post(&url, "/v1/train/step", &Value::Null);
    let (back, last) = (step(), [step(), step()]);
    let (kept, later) = (number(&back, "step"), number(&last[1], "step"));
    assert_eq!(kept, number(&begun, "step") + 1);
    // As if the process had died before it came to remove what is taken back.
    let doomed = runs.join(format!("toy/checkpoints/step-{later:08}"));
    let aside = folder.path().join("aside");
    copy(&doomed, &aside);
    let status = post(&url, "/v1/train/rollback", &json!({"step": kept}));
    process.kill();
    copy(&aside, &doomed);

    let (_process, url) = Process::serve(&arguments);
    config.steps = kept;
    post(&url, "/v1/train/start", &json!({"config": config, "resume": true}));
    let resumed = wait_for(&url, "finished");
    assert_eq!(number(&resumed, "step"), kept);
    let version = number(&status, "weight_version");
    assert!(version > number(&last[1], "weight_version"));
    assert_eq!(
        number(&resumed, "weight_version"),
        version,
        "no version means two sets of weights"
    );
    assert_eq!(get(&url, "/weight_info")["version"], version);
    assert!(!doomed.exists());
}
