//! A run steered over HTTP: single steps, changes of its configuration, checkpoints, evaluations, rollbacks.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use svs::config::ServeConfig;
use svs_trainer::run::config::{ProblemSource, Recipe};

use super::toy;
use crate::api::harness::{Answer, Server};

/// A server with a toy run in its configuration, changed by `change`, and the folder of its problems.
pub(super) fn server(change: impl FnOnce(&mut ServeConfig)) -> (tempfile::TempDir, Server) {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::with_model(toy::model(), |config| {
        config.train = toy::config(folder.path(), Recipe::Grpo, 40);
        config.train.checkpoint.save_freq = 100;
        config.train.checkpoint.keep = 9;
        config.train.eval.limit = 4;
        config.train.eval.files = config.train.problems.files.clone();
        config.server.problems_dir = Some(folder.path().to_path_buf());
        change(config);
    });
    (folder, server)
}

pub(crate) fn wait_for(server: &Server, state: &str) -> Value {
    let deadline = Instant::now() + Duration::from_secs(300);
    loop {
        let status = server.get("/v1/train/status").body;
        if status["state"] == state {
            return status;
        }
        assert!(Instant::now() < deadline, "not {state}: {status}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

pub(crate) fn ask(server: &Server, what: &str, body: &Value) -> Value {
    let answer = server.post(&format!("/v1/train/{what}"), body);
    assert_eq!(answer.status, 200, "{what}: {}", answer.body);
    answer.body
}

fn checksums(server: &Server) -> Value {
    server.post("/weight_checker", &json!({"action": "checksum"})).body
}

/// Starts the run and waits until it is paused; returns the steps done.
pub(super) fn paused(server: &Server) -> u64 {
    ask(server, "start", &Value::Null);
    ask(server, "pause", &Value::Null);
    wait_for(server, "paused")["step"].as_u64().unwrap()
}

fn patch(server: &Server, config: Value) -> Answer {
    server.patch("/v1/train/config", &json!({"config": config}))
}

#[test]
fn a_paused_run_goes_step_by_step_is_changed_and_goes_back() {
    let (_folder, server) = server(|_| {});
    let begun = paused(&server);
    let status = ask(&server, "step", &Value::Null);
    assert_eq!(
        (status["step"].as_u64(), &status["state"]),
        (Some(begun + 1), &json!("paused"))
    );

    let changed = patch(&server, json!({"optim": {"lr": 1e-4}, "rollout": {"temperature": 0.9}}));
    assert_eq!(changed.status, 200, "{}", changed.body);
    assert_eq!(changed.body["config"]["optim"]["lr"], 1e-4);
    assert_eq!(changed.body["changes"][0]["event"], "config");
    assert_eq!(changed.body["changes"][0]["step"].as_u64(), Some(begun + 1));
    let status = ask(&server, "step", &Value::Null);
    assert_eq!(status["metrics"]["actor/lr"], 1e-4, "from the next step on");
    let kept = ask(&server, "checkpoint", &Value::Null)["step"].as_u64().unwrap();
    let (before, version) = (checksums(&server), server.get("/weight_info").body["version"].clone());

    let later = json!([ask(&server, "step", &Value::Null), ask(&server, "step", &Value::Null)]);
    assert_ne!(checksums(&server), before, "it learns");
    let status = ask(&server, "rollback", &json!({"step": kept}));
    assert_eq!(
        (status["step"].as_u64(), &status["state"]),
        (Some(kept), &json!("paused"))
    );
    assert!(
        status["weight_version"].as_u64() > later[1]["weight_version"].as_u64(),
        "a new version"
    );
    assert_eq!(
        server.get("/weight_info").body["weight_version"],
        format!("rollback-{kept}")
    );
    assert_eq!(checksums(&server), before, "the weights of the checkpoint");
    let steps = server.get("/v1/train/metrics?keys=actor/lr").body;
    let last = steps["data"].as_array().unwrap().last().unwrap().clone();
    assert_eq!(last, json!({"step": kept, "metrics": {"actor/lr": 1e-4}}));
    let config = server.get("/v1/train/config").body;
    assert_eq!(config["config"]["optim"]["lr"], 1e-4, "what it was told goes on");
    assert_eq!(config["changes"][1]["event"], "rollback");
    assert_eq!(config["changes"][1]["from_step"].as_u64(), Some(kept + 2));

    // By the version of a checkpoint; then the run goes on, also when it is resumed.
    ask(&server, "step", &Value::Null);
    let status = ask(&server, "rollback", &json!({"version": version}));
    assert_eq!(status["step"].as_u64(), Some(kept));
    ask(&server, "step", &Value::Null);
    ask(&server, "stop", &Value::Null);
    wait_for(&server, "finished");
    ask(&server, "start", &json!({"resume": true}));
    ask(&server, "pause", &Value::Null);
    assert!(wait_for(&server, "paused")["step"].as_u64().unwrap() > kept);
    let config = server.get("/v1/train/config").body["config"].clone();
    assert_eq!((&config["optim"]["lr"], &config["steps"]), (&json!(1e-4), &json!(40)));
    assert_eq!(patch(&server, json!({"steps": 1})).error().0, "config.steps");
    let shortened = status["step"].as_u64().unwrap() + 20;
    assert_eq!(patch(&server, json!({"steps": shortened})).status, 200);
    assert_eq!(server.get("/v1/train/status").body["steps"].as_u64(), Some(shortened));
}

#[test]
fn what_cannot_be_done_is_refused_by_name() {
    let (folder, server) = server(|_| {});
    for what in ["step", "checkpoint"] {
        let answer = server.post(&format!("/v1/train/{what}"), &Value::Null);
        assert_eq!(
            (answer.status, answer.error().1),
            (409, "wrong_state"),
            "{what} without a run"
        );
    }
    assert_eq!(patch(&server, json!({"optim": {"lr": 1.0}})).status, 409);
    let config = server.get("/v1/train/config").body;
    assert_eq!(
        (&config["run_id"], &config["config"]["steps"]),
        (&Value::Null, &json!(40))
    );
    for path in [
        "/v1/train/metrics",
        "/v1/train/metrics?run=nobody",
        "/v1/train/config?run=..%2Fx",
    ] {
        let answer = server.get(path);
        assert_eq!((answer.status, answer.error().1), (404, "run_not_found"), "{path}");
    }
    let step = paused(&server);
    for (config, param) in [
        (json!({"seed": 4}), "config.seed"),
        (json!({"rollout": {"n": 4}}), "config.rollout.n"),
        (json!({"optim": {}}), "config.optim"),
        (json!({"optim": {"lr": -1.0}}), "config.optim.lr"),
        (json!({"optim": {"lr": "fast"}}), "config.optim.lr"),
        (json!({}), "config"),
    ] {
        let answer = patch(&server, config.clone());
        assert_eq!((answer.status, answer.error().0), (400, param), "{config}");
    }
    for (body, param) in [
        (json!({"step": step + 7}), "step"),
        (json!({"version": 1u64 << 40}), "version"),
        (json!({}), "version"),
        (json!({"step": 1, "version": 1}), "step"),
        (json!({"to": 1}), "to"),
    ] {
        let answer = server.post("/v1/train/rollback", &body);
        assert_eq!((answer.status, answer.error().0), (400, param), "{body}");
    }
    for what in ["step", "checkpoint", "pause", "resume", "stop"] {
        let answer = server.post(&format!("/v1/train/{what}"), &json!({"n": 5}));
        let error = (answer.status, answer.error());
        assert_eq!(error, (400, ("n", "unknown_parameter")), "{what}");
    }
    for (body, param) in [(json!({"limit": 0}), "limit"), (json!({"samples": 129}), "samples")] {
        assert_eq!(server.post("/v1/train/eval", &body).error().0, param);
    }
    ask(&server, "resume", &Value::Null);
    let answer = server.post("/v1/train/step", &Value::Null);
    let paused = answer.body["error"]["message"]
        .as_str()
        .unwrap_or_default()
        .contains("pause it");
    assert!(answer.status == 409 && paused, "{}", answer.body);
    ask(&server, "stop", &Value::Null);
    wait_for(&server, "finished");

    std::fs::write(
        folder.path().join("more.jsonl"),
        "{\"question\": \"1 + 1?\", \"answer\": \"2\"}\n",
    )
    .unwrap();
    let start = |files: Value| {
        let problems = json!({"source": "files", "files": files});
        server.post(
            "/v1/train/start",
            &json!({"config": {"run_id": "files", "steps": 1, "fork_from": "nobody", "problems": problems}}),
        )
    };
    for files in [json!(["/etc/hostname"]), json!(["../x.jsonl"]), json!(["none.jsonl"])] {
        let answer = start(files.clone());
        assert_eq!(
            (answer.status, answer.error().0),
            (400, "config.problems.files[0]"),
            "{files}"
        );
    }
    let inside = start(json!(["more.jsonl"]));
    assert!(!inside.body.to_string().contains("problems_dir"), "{}", inside.body);
}

#[test]
fn an_evaluation_is_of_the_weights_that_were_served_when_it_began() {
    let (_folder, server) = server(|_| {});
    let found = ask(&server, "eval", &json!({"limit": 3, "samples": 2}));
    assert_eq!(
        (&found["problems"], &found["samples"], &found["weight_version"]),
        (&json!(3), &json!(2), &json!(0))
    );
    assert!(!found["metrics"].as_object().unwrap().is_empty());
    let again = ask(&server, "eval", &json!({"limit": 3, "samples": 2}));
    assert_eq!(again, found, "the same weights and seed give the same figures");
    paused(&server);
    ask(&server, "step", &Value::Null);
    let served = server.get("/weight_info").body["version"].clone();
    assert_eq!(ask(&server, "eval", &Value::Null)["weight_version"], served);
}

#[test]
fn a_run_that_waits_for_clients_pauses_and_makes_no_step_that_it_does_not_make() {
    let (_folder, server) = server(|config| {
        config.train.problems.source = ProblemSource::Trajectories;
        config.train.problems.files.clear();
        config.train.trajectories.groups_per_step = 1;
        config.train.trajectories.poll_ms = 5;
    });
    // Nobody has sent anything, and yet it is paused.
    assert_eq!(paused(&server), 0);
    std::thread::scope(|scope| {
        let stepped = scope.spawn(|| server.post("/v1/train/step", &Value::Null));
        while server.get("/v1/train/status").body["state"] != "running" {
            std::thread::sleep(Duration::from_millis(5));
        }
        // What is asked for meanwhile is done at once, and the step is still to come.
        ask(&server, "checkpoint", &Value::Null);
        assert_eq!(patch(&server, json!({"optim": {"lr": 1e-3}})).status, 200);
        assert!(!stepped.is_finished());
        for (reward, group_size) in [("7", "2"), ("8", "2")] {
            let metadata = json!({"group": "g", "group_size": group_size, "reference": reward, "await_reward": "true"});
            let body = json!({
                "model": "toy", "messages": [{"role": "user", "content": toy::question(7, 0)}], "max_tokens": 8,
                "metadata": metadata,
            });
            let id = server.post("/v1/chat/completions", &body).body["id"]
                .as_str()
                .unwrap()
                .to_owned();
            let reward = json!({"reward": if reward == "7" { 1.0 } else { 0.0 }});
            assert_eq!(
                server
                    .post(&format!("/v1/trajectories/{id}-0-0/reward"), &reward)
                    .status,
                200
            );
        }
        let answer = stepped.join().unwrap();
        assert_eq!(
            (answer.status, answer.body["step"].as_u64()),
            (200, Some(1)),
            "{}",
            answer.body
        );
    });
    // A stop ends a step that waits, and whoever asked for it hears so.
    std::thread::scope(|scope| {
        let stepped = scope.spawn(|| server.post("/v1/train/step", &Value::Null));
        while server.get("/v1/train/status").body["state"] != "running" {
            std::thread::sleep(Duration::from_millis(5));
        }
        ask(&server, "stop", &Value::Null);
        let answer = stepped.join().unwrap();
        assert_eq!(
            (answer.status, answer.error().1),
            (409, "wrong_state"),
            "{}",
            answer.body
        );
    });
    assert_eq!(wait_for(&server, "finished")["step"], 1);
}
