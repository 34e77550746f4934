//! Fine-tuning jobs over HTTP: from an upload to a chat with what came out, queues, refusals, a killed process.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use svs_trainer::run::config::Recipe;

use super::process::{self, Process};
use super::toy;
use crate::api::files::upload;
use crate::api::harness::{Server, events};

pub(super) const JOBS: &str = "/v1/fine_tuning/jobs";

/// Lines of a training file: what to say, and the digit that the grader looks for.
pub(super) fn lines() -> String {
    let line = |(digit, wording): (usize, usize)| {
        let asked = json!([{"role": "user", "content": toy::question(digit, wording)}]);
        json!({"messages": asked, "answer": digit.to_string()}).to_string() + "\n"
    };
    [3, 7]
        .into_iter()
        .flat_map(|digit| (0..4).map(move |wording| (digit, wording)))
        .map(line)
        .collect()
}

pub(super) fn server(change: impl FnOnce(&mut svs::config::ServeConfig)) -> (tempfile::TempDir, Server) {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::with_model(toy::model(), |config| {
        config.train = toy::config(folder.path(), Recipe::Grpo, 4);
        config.train.checkpoint.keep = 9;
        change(config);
    });
    (folder, server)
}

/// A job on `file` with `extra` laid over the reinforcement method.
pub(super) fn request(model: &str, file: &str, extra: &Value) -> Value {
    let mut method = json!({
        "grader": {"type": "string_check", "name": "digit", "input": "{{sample.output_text}}",
                   "reference": "{{item.answer}}", "operation": "like"},
    });
    for (key, value) in extra.as_object().unwrap() {
        method[key] = value.clone();
    }
    json!({"model": model, "training_file": file, "method": {"type": "reinforcement", "reinforcement": method}})
}

pub(super) fn create(server: &Server, body: &Value) -> String {
    let answer = server.post(JOBS, body);
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.body["id"].as_str().unwrap().to_owned()
}

pub(super) fn job(server: &Server, id: &str) -> Value {
    let answer = server.get(&format!("{JOBS}/{id}"));
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.body
}

pub(super) fn ask(server: &Server, id: &str, what: &str) -> Value {
    let answer = server.post_raw(&format!("{JOBS}/{id}/{what}"), &[], b"");
    assert_eq!(answer.status, 200, "{what}: {}", answer.body);
    answer.body["status"].clone()
}

pub(super) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(300);
    while !holds() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

pub(super) fn wait_for(server: &Server, id: &str, status: &str) -> Value {
    until(&format!("job {id} is not {status}: {}", job(server, id)), || {
        job(server, id)["status"] == status
    });
    job(server, id)
}

/// What a model says to a fixed prompt, with its logprobs.
pub(super) fn said(server: &Server, model: &str) -> Value {
    let body = json!({
        "model": model, "messages": [{"role": "user", "content": toy::question(7, 0)}],
        "seed": 1, "max_tokens": 12, "logprobs": true,
    });
    let answer = server.post("/v1/chat/completions", &body);
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.body["choices"][0]["logprobs"].clone()
}

#[test]
fn a_job_goes_from_an_upload_to_a_chat_with_its_model() {
    let (_folder, server) = server(|_| {});
    let file = upload(&server, &lines());
    let body = request(
        "toy",
        &file,
        &json!({"hyperparameters": {"n_epochs": 4, "batch_size": 8}}),
    );
    let mut named = body.clone();
    named["suffix"] = json!("digits");
    named["metadata"] = json!({"team": "a"});
    let id = create(&server, &named);
    // Its own copy is what it trains on.
    assert_eq!(server.delete(&format!("/v1/files/{file}")).status, 200);

    let told = events(server.open_get(&format!("{JOBS}/{id}/events?stream=true")));
    let messages: Vec<&str> = told.iter().map(|event| event["message"].as_str().unwrap()).collect();
    let job = job(&server, &id);
    assert_eq!(job["status"], "succeeded", "{messages:?}");
    let tuned = job["fine_tuned_model"].as_str().unwrap();
    assert!(tuned.starts_with("ft:toy:svs:digits:"), "{tuned}");
    assert_eq!(messages[0], format!("Created fine-tuning job: {id}"));
    assert_eq!(
        *messages.last().unwrap(),
        format!("New fine-tuned model created: {tuned}")
    );
    let steps = told.iter().filter(|event| event["type"] == "metrics");
    let steps: Vec<u64> = steps.map(|event| event["data"]["step"].as_u64().unwrap()).collect();
    assert_eq!(steps, [1, 2, 3, 4]);
    assert!(job["trained_tokens"].as_u64().unwrap() > 0 && job["finished_at"].is_u64());
    assert_eq!(job["metadata"], json!({"team": "a"}));
    assert_eq!(job["method"]["reinforcement"]["hyperparameters"]["n_epochs"], 4);

    // Pages of events, newest first, and a stream that goes on after one of them.
    let page = server.get(&format!("{JOBS}/{id}/events?limit=2")).body;
    let last = told.len() - 1;
    assert_eq!(
        (&page["data"], &page["has_more"]),
        (&json!([told[last], told[last - 1]]), &json!(true))
    );
    let after = told[last - 1]["id"].as_str().unwrap();
    let page = server.get(&format!("{JOBS}/{id}/events?limit=1000&after={after}")).body;
    assert_eq!(
        (page["data"].as_array().unwrap().len(), &page["has_more"]),
        (last - 1, &json!(false))
    );
    let rest = events(server.open_get(&format!("{JOBS}/{id}/events?stream=true&after={after}")));
    assert_eq!(rest, [told[last].clone()]);

    // Every checkpoint is a model; the last is what came out, which the policy has too.
    let checkpoints = server.get(&format!("{JOBS}/{id}/checkpoints")).body;
    let names: Vec<&str> = checkpoints["data"].as_array().unwrap().iter().map(name_of).collect();
    assert_eq!(names, [format!("{tuned}:ckpt-step-4"), format!("{tuned}:ckpt-step-2")]);
    assert_eq!(checkpoints["data"][1]["metrics"]["step"], 2);
    let listed = server.get("/v1/models").body;
    let listed: Vec<&str> = listed["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|m| m["id"].as_str().unwrap())
        .collect();
    assert_eq!(listed, ["toy", tuned, names[1], names[0]]);
    let (last, first) = (said(&server, tuned), said(&server, names[1]));
    assert_eq!(last, said(&server, "toy"), "what came out is what is served");
    assert_eq!(
        last,
        said(&server, names[0]),
        "two models at once, and a third makes one go"
    );
    assert_ne!(last, first, "it learned between");
    assert_eq!(said(&server, names[1]), first, "loaded again");
    let described = server.get(&format!("/v1/models/{tuned}")).body;
    assert_eq!((&described["id"], &described["parent"]), (&json!(tuned), &json!("toy")));
    // A run that is no job's needs room to publish, too: of four sets three are its own.
    let resident = || {
        let listed = server.get("/v1/models").body;
        let models = listed["data"].as_array().unwrap().iter();
        models
            .filter(|model| model["id"] != "toy" && !model["weight_version"].is_null())
            .count()
    };
    assert_eq!(resident(), 2);
    let started = server.post("/v1/train/start", &json!({"config": {"run_id": "beside", "steps": 2}}));
    assert_eq!(started.status, 200, "{}", started.body);
    assert_eq!(resident(), 1);
    until("the run ends", || {
        server.get("/v1/train/status").body["state"] == "finished"
    });
    for (model, said) in [
        (format!("{tuned}:ckpt-step-3"), "not kept"),
        (format!("{tuned}x"), "not served"),
        ("ft:toy:svs::0".into(), "not served"),
    ] {
        let body = json!({"model": model, "messages": [{"role": "user", "content": "x"}]});
        let answer = server.post("/v1/chat/completions", &body);
        assert_eq!((answer.status, answer.error()), (404, ("model", "model_not_found")));
        assert!(
            answer.body["error"]["message"].as_str().unwrap().contains(said),
            "{}",
            answer.body
        );
        assert_eq!(server.get(&format!("/v1/models/{model}")).status, 404);
    }
}

fn name_of(checkpoint: &Value) -> &str {
    checkpoint["fine_tuned_model_checkpoint"].as_str().unwrap()
}

#[test]
fn one_job_runs_and_the_others_wait() {
    let (_folder, server) = server(|config| config.server.jobs.max_queued = 2);
    let file = upload(&server, &lines());
    let body = request(
        "toy",
        &file,
        &json!({"x_svs": {"config": {"steps": 100_000, "checkpoint.save_freq": 1000}}}),
    );
    let first = create(&server, &body);
    wait_for(&server, &first, "running");
    let [second, third] = [(); 2].map(|()| create(&server, &body));
    let full = server.post(JOBS, &body);
    assert_eq!((full.status, full.error().1), (429, "overloaded"));
    wait_for(&server, &second, "queued");
    assert_eq!(ask(&server, &first, "pause"), "paused");
    until("the run pauses", || {
        server.get("/v1/train/status").body["state"] == "paused"
    });
    let refused = |id: &str, what: &str| {
        let answer = server.post_raw(&format!("{JOBS}/{id}/{what}"), &[], b"");
        assert_eq!(
            (answer.status, answer.error().1),
            (409, "wrong_state"),
            "{what}: {}",
            answer.body
        );
    };
    refused(&first, "pause");
    refused(&second, "pause");
    refused(&second, "resume");
    assert_eq!(
        job(&server, &second)["status"],
        "queued",
        "a paused job keeps the trainer"
    );
    assert_eq!(ask(&server, &second, "cancel"), "cancelled");
    refused(&second, "cancel");
    assert_eq!(ask(&server, &first, "resume"), "running");
    until("the run goes on", || {
        server.get("/v1/train/status").body["state"] == "running"
    });
    assert_eq!(ask(&server, &first, "cancel"), "cancelled");
    assert_eq!(job(&server, &first)["fine_tuned_model"], Value::Null);
    wait_for(&server, &third, "running");
    // A run that is stopped by other means is no success.
    server.post_raw("/v1/train/stop", &[], b"");
    wait_for(&server, &third, "cancelled");
    let ids = |query: &str| {
        let list = server.get(&format!("{JOBS}{query}")).body;
        let jobs = list["data"].as_array().unwrap().clone();
        let ids: Vec<String> = jobs.iter().map(|job| job["id"].as_str().unwrap().to_owned()).collect();
        (ids, list["has_more"] == true)
    };
    assert_eq!(ids("?limit=2"), (vec![third.clone(), second.clone()], true));
    assert_eq!(ids(&format!("?after={second}")), (vec![first], false));
}

/// Messages of a job's events, oldest first.
pub(super) fn told(server: &Server, id: &str) -> Vec<String> {
    let page = server.get(&format!("{JOBS}/{id}/events?limit=1000")).body;
    let events = page["data"].as_array().unwrap().iter().rev();
    events
        .map(|event| event["message"].as_str().unwrap().to_owned())
        .collect()
}

/// Pauses a job, and says after how many steps it has paused.
pub(super) fn paused(server: &Server, id: &str) -> u64 {
    assert_eq!(ask(server, id, "pause"), "paused");
    until("the run pauses", || {
        server.get("/v1/train/status").body["state"] == "paused"
    });
    server.get("/v1/train/status").body["step"].as_u64().unwrap()
}

#[test]
fn a_job_ends_where_its_run_was_told_to() {
    let (_folder, server) = server(|_| {});
    let file = upload(&server, &lines());
    let config =
        json!({"steps": 100_000, "max_generated_tokens": 1_000_000_000_000_u64, "checkpoint.save_freq": 100_000});
    let body = request("toy", &file, &json!({"x_svs": {"config": config}}));
    let id = create(&server, &body);
    wait_for(&server, &id, "running");
    let step = paused(&server, &id);
    assert_eq!(server.post_raw("/v1/train/checkpoint", &[], b"").status, 200);
    until("a checkpoint that somebody asked for is told of", || {
        let saved = format!("Checkpoint created at step {step}: ");
        told(&server, &id).iter().any(|said| said.starts_with(&saved))
    });
    let changed = server.patch("/v1/train/config", &json!({"config": {"steps": step + 1}}));
    assert_eq!(changed.status, 200, "{}", changed.body);
    assert_eq!(ask(&server, &id, "resume"), "running");
    let whole = wait_for(&server, &id, "succeeded");
    assert!(whole["fine_tuned_model"].is_string(), "{whole}");
    let last = format!("Step {0}/{0}", step + 1);
    assert!(told(&server, &id).iter().any(|said| said.starts_with(&last)), "{last}");

    // A budget that is not used up makes no whole run of one that was stopped.
    let id = create(&server, &body);
    wait_for(&server, &id, "running");
    server.post_raw("/v1/train/stop", &[], b"");
    wait_for(&server, &id, "cancelled");
}

#[test]
fn a_disk_that_takes_nothing_keeps_no_job_at_the_trainer_and_hides_no_other() {
    let runs = tempfile::tempdir().unwrap();
    let (_folder, server) = server(|config| config.runs = Some(runs.path().to_path_buf()));
    let file = upload(&server, &lines());
    let body = request("toy", &file, &json!({"x_svs": {"config": {"steps": 100_000}}}));
    let [first, second] = [(); 2].map(|()| create(&server, &body));
    wait_for(&server, &first, "running");
    paused(&server, &first);
    // No record can be written.
    let blocked = runs.path().join(&first).join("job.json.part");
    std::fs::create_dir(&blocked).unwrap();
    let answer = server.post_raw(&format!("{JOBS}/{first}/cancel"), &[], b"");
    assert_eq!(
        (answer.status, answer.error().1),
        (500, "job_failed"),
        "{}",
        answer.body
    );
    wait_for(&server, &second, "running");
    assert_eq!(job(&server, &first)["status"], "cancelled");
    ask(&server, &second, "cancel");
    drop(server);

    let events = runs.path().join(&first).join("events.jsonl");
    std::fs::remove_file(&events).unwrap();
    std::fs::create_dir(&events).unwrap();
    let server = Server::with_model(toy::model(), |config| config.runs = Some(runs.path().to_path_buf()));
    let listed = server.get(JOBS).body;
    let ids: Vec<&str> = listed["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|job| job["id"].as_str().unwrap())
        .collect();
    assert_eq!(ids, [&second]);
}

#[test]
fn a_job_of_a_killed_process_goes_on_with_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let model = toy::save_model(folder.path());
    let runs = folder.path().join("runs");
    let [model, runs_text] = [&model, &runs].map(|path| path.to_str().unwrap());
    let open = || Process::serve(&["--model", model, "--runs", runs_text]);
    let (mut first, url) = open();
    let file = process::upload(&url, &lines());
    let config = json!({
        "steps": 40, "checkpoint.save_freq": 2, "rollout.max_response_length": 32, "rollout.max_prompt_length": 100,
        "problems.train_batch_size": 8, "optim.lr": 3e-3,
    });
    let body = request("toy", &file, &json!({"x_svs": {"config": config}}));
    let id = process::post(&url, JOBS, &body)["id"].as_str().unwrap().to_owned();
    let waiting = process::post(&url, JOBS, &body)["id"].as_str().unwrap().to_owned();
    let path = format!("{JOBS}/{id}");
    until("five steps", || {
        let done = svs_trainer::run::history::read(&runs.join(&id)).unwrap_or_default();
        done.len() >= 5
    });
    first.kill();
    let (_second, url) = open();
    until("it succeeds", || {
        let status = process::get(&url, &path)["status"].clone();
        assert!(
            ["queued", "running", "succeeded"].contains(&status.as_str().unwrap()),
            "{status}"
        );
        status == "succeeded"
    });
    let told = process::get(&url, &format!("{path}/events?limit=1000"));
    let told: Vec<&str> = told["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| e["message"].as_str().unwrap())
        .collect();
    let resumed = told
        .iter()
        .find(|message| message.starts_with("Fine-tuning job resumed at step "));
    assert!(resumed.is_some_and(|message| !message.ends_with(" 0")), "{told:?}");
    let steps = svs_trainer::run::history::read(&runs.join(&id)).unwrap();
    let steps: Vec<u64> = steps.iter().map(|record| record.step).collect();
    assert_eq!(steps, (1..=40).collect::<Vec<_>>());
    let tuned = process::get(&url, &path)["fine_tuned_model"].clone();
    let chat = json!({"model": tuned, "messages": [{"role": "user", "content": "Say 7."}], "max_tokens": 4});
    assert_eq!(process::post(&url, "/v1/chat/completions", &chat)["model"], tuned);
    // What waited then waits no more.
    until("the next one runs", || {
        let status = process::get(&url, &format!("{JOBS}/{waiting}"))["status"].clone();
        status == "running" || status == "succeeded"
    });
}
