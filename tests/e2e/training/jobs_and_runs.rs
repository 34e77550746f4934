//! Fine-tuning jobs whose runs are steered, replaced or taken back by `/v1/train`.

use serde_json::{Value, json};

use super::jobs::{JOBS, ask, create, job, lines, paused, request, said, server, told, until, wait_for};
use super::process::{self, Process};
use super::toy;
use crate::api::files::upload;
use crate::api::harness::Server;

/// A job that runs until it is told to end, with a checkpoint of every step, after at least two of them.
fn running(server: &Server) -> String {
    let file = upload(server, &lines());
    let config = json!({"steps": 1_000_000, "checkpoint.save_freq": 1, "checkpoint.keep": 100});
    let id = create(server, &request("toy", &file, &json!({"x_svs": {"config": config}})));
    until("two steps", || {
        server.get("/v1/train/status").body["step"].as_u64().unwrap() >= 2
    });
    id
}

#[test]
fn a_job_whose_run_was_replaced_at_once_is_called_what_it_was() {
    let (_folder, server) = server(|_| {});
    for turn in 0..3 {
        let id = running(&server);
        assert_eq!(server.post_raw("/v1/train/stop", &[], b"").status, 200);
        let next =
            json!({"config": {"run_id": format!("next-{turn}"), "steps": 1, "problems": {"train_batch_size": 1}}});
        // Before anybody could have looked how the job's run ended.
        until("the next run", || {
            let answer = server.post("/v1/train/start", &next);
            let stopping = answer.body["error"]["message"]
                .as_str()
                .is_some_and(|said| said.contains("is stopping"));
            assert!(answer.status == 200 || stopping, "{}", answer.body);
            answer.status == 200
        });
        let ended = wait_for(&server, &id, "cancelled");
        assert_eq!(ended["fine_tuned_model"], Value::Null);
        let said = told(&server, &id);
        let steps = said.iter().filter(|said| said.starts_with("Step ")).count() as u64;
        let saved = said.iter().filter(|said| said.starts_with("Checkpoint ")).count() as u64;
        assert!(steps >= 2 && saved == steps, "{said:?}");
        until("the next run ends", || {
            server.get("/v1/train/status").body["state"] == "finished"
        });
    }
}

#[test]
fn the_run_of_a_job_is_not_started_by_others_and_refusals_leave_no_trace() {
    let (_folder, server) = server(|_| {});
    let id = running(&server);
    assert_eq!(ask(&server, &id, "cancel"), "cancelled");
    until("its last step ends", || {
        server.get("/v1/train/status").body["state"] == "finished"
    });
    let before = server.get("/v1/train/status").body;
    for (config, status, param) in [
        (json!({"run_id": id}), 409, "config.run_id"),
        (
            json!({"run_id": "other", "fork_from": "nobody"}),
            400,
            "config.fork_from",
        ),
    ] {
        let answer = server.post("/v1/train/start", &json!({"config": config, "resume": false}));
        assert_eq!((answer.status, answer.error().0), (status, param), "{}", answer.body);
        assert_eq!(server.get("/v1/train/status").body, before);
    }
    assert_eq!(job(&server, &id)["status"], "cancelled");
}

#[test]
fn a_name_means_no_weights_of_before_a_rollback() {
    let (_folder, server) = server(|_| {});
    let id = running(&server);
    let step = paused(&server, &id);
    let newest = || server.get(&format!("{JOBS}/{id}/checkpoints?limit=1")).body["data"][0].clone();
    until("its checkpoint", || newest()["step_number"].as_u64() == Some(step));
    let step_told = format!("Step {step}/");
    until("it is told of", || {
        told(&server, &id).iter().any(|said| said.starts_with(&step_told))
    });
    let name = newest()["fine_tuned_model_checkpoint"].as_str().unwrap().to_owned();
    let before = said(&server, &name);
    assert_eq!(before, said(&server, "toy"));
    let back = server.post("/v1/train/rollback", &json!({"step": step - 1}));
    assert_eq!(back.status, 200, "{}", back.body);
    assert_eq!(server.get(&format!("/v1/models/{name}")).status, 404, "it is undone");
    let faster = json!({"config": {"optim": {"lr": 0.01}}});
    assert_eq!(server.patch("/v1/train/config", &faster).status, 200);
    let again = server.post("/v1/train/step", &Value::Null);
    assert_eq!(
        (again.status, again.body["step"].as_u64()),
        (200, Some(step)),
        "{}",
        again.body
    );
    let after = said(&server, &name);
    assert_ne!(after, before, "other weights have its name now");
    assert_eq!(after, said(&server, "toy"));
    let undone = format!("The run went back to step {}", step - 1);
    until("an event says so", || {
        told(&server, &id).iter().any(|said| said.starts_with(&undone))
    });
}

#[test]
fn a_moved_end_and_the_steps_before_a_death_are_not_lost() {
    let folder = tempfile::tempdir().unwrap();
    let model = toy::save_model(folder.path());
    let runs = folder.path().join("runs");
    let [model, runs] = [&model, &runs].map(|path| path.to_str().unwrap());
    let open = || Process::serve(&["--model", model, "--runs", runs]);
    let (mut first, url) = open();
    let file = process::upload(&url, &lines());
    let config = json!({
        "steps": 100_000, "checkpoint.save_freq": 1, "rollout.max_response_length": 8, "rollout.max_prompt_length": 100,
    });
    let body = request("toy", &file, &json!({"x_svs": {"config": config}}));
    let id = process::post(&url, JOBS, &body)["id"].as_str().unwrap().to_owned();
    let path = format!("{JOBS}/{id}");
    until("steps", || {
        process::get(&url, "/v1/train/status")["step"].as_u64().unwrap() >= 3
    });
    process::post(&url, &format!("{path}/pause"), &Value::Null);
    until("it pauses", || {
        process::get(&url, "/v1/train/status")["state"] == "paused"
    });
    let end = process::get(&url, "/v1/train/status")["step"].as_u64().unwrap() + 2;
    let moved = process::patch(&url, "/v1/train/config", &json!({"config": {"steps": end}}));
    assert_eq!(moved["config"]["steps"].as_u64(), Some(end));
    first.kill();
    let (_second, url) = open();
    assert_eq!(
        process::post(&url, &format!("{path}/resume"), &Value::Null)["status"],
        "queued"
    );
    until("it succeeds", || process::get(&url, &path)["status"] == "succeeded");
    let told = process::get(&url, &format!("{path}/events?limit=1000"));
    let metrics = told["data"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|event| event["type"] == "metrics");
    let mut steps: Vec<u64> = metrics.map(|event| event["data"]["step"].as_u64().unwrap()).collect();
    steps.sort_unstable();
    steps.dedup();
    assert_eq!(steps, (1..=end).collect::<Vec<_>>(), "every step is told of");
    assert!(process::get(&url, &path)["trained_tokens"].as_u64().is_some());
}
