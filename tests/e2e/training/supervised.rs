//! Supervised fine-tuning jobs: the loss falls, the model says what it was taught, and all that holds of other jobs does.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use svs_trainer::run::history;

use super::jobs::{JOBS, ask, create, job, server, until, wait_for};
use super::process::{self, Process};
use super::toy;
use crate::api::files::upload;
use crate::api::harness::{Server, completion, events};

/// What is taught: a question and its answer.
const TAUGHT: [(usize, &str); 2] = [(3, "Blue birds sing."), (7, "Red foxes run.")];

fn asked(digit: usize) -> Value {
    json!([{"role": "user", "content": toy::question(digit, 0)}])
}

fn lines() -> String {
    let line = |(digit, answer): (usize, &str)| {
        let mut messages = asked(digit);
        let turn = json!({"role": "assistant", "content": answer});
        messages.as_array_mut().unwrap().push(turn);
        json!({"messages": messages}).to_string() + "\n"
    };
    TAUGHT.into_iter().map(line).collect()
}

/// A job on `file` with `extra` laid over the supervised method.
fn request(file: &str, extra: &Value) -> Value {
    json!({"model": "toy", "training_file": file, "method": {"type": "supervised", "supervised": extra}})
}

/// What a model says most likely.
fn said(server: &Server, model: &str, digit: usize) -> String {
    let body = json!({"model": model, "messages": asked(digit), "temperature": 0, "max_tokens": 24});
    let answer = server.post("/v1/chat/completions", &body);
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.body["choices"][0]["message"]["content"]
        .as_str()
        .unwrap()
        .to_owned()
}

#[test]
fn a_job_teaches_the_sentences_of_its_file() {
    let (_folder, server) = server(|config| config.train.checkpoint.save_freq = 60);
    let (file, held_out) = (upload(&server, &lines()), upload(&server, &lines()));
    let hyperparameters = json!({"n_epochs": 120, "batch_size": 2, "learning_rate_multiplier": 1000});
    let mut body = request(&file, &json!({"hyperparameters": hyperparameters}));
    body["validation_file"] = json!(held_out);
    let id = create(&server, &body);
    let told = events(server.open_get(&format!("{JOBS}/{id}/events?stream=true")));
    let job = job(&server, &id);
    assert_eq!(job["status"], "succeeded", "{told:?}");
    assert_eq!(
        (&job["method"]["type"], &job["hyperparameters"]),
        (
            &json!("supervised"),
            &json!({"n_epochs": 120, "batch_size": 2, "learning_rate_multiplier": 1000.0})
        )
    );
    let metrics: Vec<&Value> = told.iter().filter(|event| event["type"] == "metrics").collect();
    let loss = |event: &Value, name: &str| event["data"][name].as_f64().unwrap();
    assert_eq!(metrics.len(), 120);
    let (first, last) = (metrics[0], metrics[119]);
    assert!(
        loss(last, "train_loss") < 0.1 * loss(first, "train_loss"),
        "{first} {last}"
    );
    // The loss on the same lines after a step is that of the next step, before it.
    for pair in metrics.windows(2) {
        let (after, before) = (loss(pair[0], "valid_loss"), loss(pair[1], "train_loss"));
        assert!((after - before).abs() < 1e-4, "{after} {before}");
    }
    let message = last["message"].as_str().unwrap();
    assert!(message.starts_with("Step 120/120: training loss=0."), "{message}");
    // Every token of the answers and their end, 120 times.
    let tokens: usize = TAUGHT.iter().map(|(_, answer)| answer.len() + 1).sum();
    assert_eq!(job["trained_tokens"], 120 * tokens);
    let tuned = job["fine_tuned_model"].as_str().unwrap();
    let checkpoints = server.get(&format!("{JOBS}/{id}/checkpoints")).body;
    let half = &checkpoints["data"][1];
    assert_eq!(
        (&half["step_number"], half["metrics"]["train_loss"].is_f64()),
        (&json!(60), true)
    );
    // Half-way it answers, whatever it says.
    said(&server, half["fine_tuned_model_checkpoint"].as_str().unwrap(), 3);
    for model in ["toy", tuned] {
        for (digit, answer) in TAUGHT {
            assert_eq!(said(&server, model, digit), answer, "{model}");
        }
    }
}

#[test]
fn older_requests_adapters_and_weights_of_messages_are_understood() {
    let (_folder, server) = server(|_| {});
    // What is said first is not learned, what is said last is.
    let line = json!({"messages": [
        {"role": "user", "content": "Say 1."}, {"role": "assistant", "content": "no", "weight": 0},
        {"role": "user", "content": "Say 2."}, {"role": "assistant", "content": "Yes.", "weight": 1},
    ]});
    let file = upload(&server, &format!("{line}\n"));
    let plain = json!({"model": "toy", "training_file": file, "hyperparameters": {"n_epochs": 2}});
    let id = create(&server, &plain);
    let done = wait_for(&server, &id, "succeeded");
    assert_eq!(
        (
            &done["method"]["type"],
            &done["hyperparameters"]["n_epochs"],
            &done["trained_tokens"]
        ),
        (&json!("supervised"), &json!(2), &json!(2 * ("Yes.".len() + 1)))
    );
    let both = json!({"messages": [
        {"role": "user", "content": "Say 1."}, {"role": "assistant", "content": "no"},
        {"role": "user", "content": "Say 2."}, {"role": "assistant", "content": "Yes."},
    ]});
    let file = upload(&server, &format!("{both}\n"));
    let lora = json!({"hyperparameters": {"n_epochs": 40}, "x_svs": {"config": {"lora": {"r": 4}, "optim.lr": 0.005}}});
    let id = create(&server, &request(&file, &lora));
    let told = events(server.open_get(&format!("{JOBS}/{id}/events?stream=true")));
    let losses: Vec<f64> = told
        .iter()
        .filter_map(|event| event["data"]["train_loss"].as_f64())
        .collect();
    assert!(losses.len() == 40 && losses[39] < 0.7 * losses[0], "{losses:?}");
    let done = job(&server, &id);
    assert_eq!(done["trained_tokens"], 40 * ("no".len() + 1 + "Yes.".len() + 1));
}

#[test]
fn what_cannot_be_learned_fails_the_job_with_its_line() {
    let (_folder, server) = server(|_| {});
    let user = json!({"role": "user", "content": "Say 3."});
    let answer = json!({"role": "assistant", "content": "3"});
    let skipped = json!({"role": "assistant", "content": "3", "weight": 0});
    let weighed = json!({"role": "user", "content": "Say 3.", "weight": 1});
    let long = json!({"role": "assistant", "content": "x".repeat(200)});
    for (row, said) in [
        (json!({"messages": [user]}), "must end with a message of the assistant"),
        (json!({"messages": [answer]}), "nothing that it answers"),
        (json!({"messages": [user, skipped]}), "nothing to learn"),
        (json!({"messages": [weighed, answer]}), "`messages[0].weight`"),
        (
            json!({"messages": [user, answer], "tools": [{}]}),
            "`tools` is not supported",
        ),
        (json!({"messages": [user, long]}), "more than the context length of 160"),
    ] {
        let file = upload(&server, &format!("{}{row}\n", lines()));
        let id = create(&server, &request(&file, &json!({})));
        let error = wait_for(&server, &id, "failed")["error"].clone();
        assert_eq!(
            (&error["code"], &error["param"]),
            (&json!("invalid_training_file"), &json!("training_file"))
        );
        let message = error["message"].as_str().unwrap();
        assert!(
            message.contains(said) && message.contains("line 3: ") && !message.contains("/tmp"),
            "{said}: {message}"
        );
    }
    let file = upload(&server, &lines());
    let mut body = request(&file, &json!({}));
    body["validation_file"] = json!(upload(&server, &format!("{}\n", json!({"messages": [user]}))));
    let id = create(&server, &body);
    assert_eq!(wait_for(&server, &id, "failed")["error"]["param"], "validation_file");
}

#[test]
fn a_job_pauses_resumes_and_ends_while_requests_are_answered() {
    let (_folder, server) = server(|config| config.train.eval.files = config.train.problems.files.clone());
    let file = upload(&server, &lines());
    let config = json!({"steps": 1_000_000, "checkpoint.save_freq": 1000});
    let id = create(&server, &request(&file, &json!({"x_svs": {"config": config}})));
    wait_for(&server, &id, "running");
    let mut versions: BTreeMap<u64, usize> = BTreeMap::new();
    until("several versions answer", || {
        let body = json!({"model": "toy", "max_tokens": 40, "ignore_eos": true, "return_weight_versions": true});
        let answer = server.post("/v1/completions", &completion(body));
        assert_eq!(
            (answer.status, &answer.body["usage"]["completion_tokens"]),
            (200, &json!(40)),
            "{}",
            answer.body
        );
        for span in answer.body["choices"][0]["weight_versions"].as_array().unwrap() {
            *versions.entry(span["version"].as_u64().unwrap()).or_default() += 1;
        }
        versions.len() >= 5
    });
    assert_eq!(ask(&server, &id, "pause"), "paused");
    until("the run pauses", || {
        server.get("/v1/train/status").body["state"] == "paused"
    });
    let paused = server.get("/v1/train/status").body["step"].as_u64().unwrap();
    assert_eq!(ask(&server, &id, "resume"), "running");
    until("it goes on", || {
        server.get("/v1/train/status").body["step"].as_u64().unwrap() > paused
    });
    // The run has no problems to solve; the server's own configuration has.
    for _ in 0..10 {
        let found = server.post("/v1/train/eval", &json!({"limit": 2}));
        assert_eq!(
            (found.status, &found.body["problems"]),
            (200, &json!(2)),
            "{}",
            found.body
        );
    }
    assert_eq!(ask(&server, &id, "cancel"), "cancelled");
    until("its last step ends", || {
        server.get("/v1/train/status").body["state"] == "finished"
    });
    assert_eq!(job(&server, &id)["fine_tuned_model"], Value::Null);
}

#[test]
fn a_job_of_a_killed_process_goes_on_bit_for_bit() {
    // Long enough that the process dies in the middle, however fast a step is.
    const STEPS: u64 = 400;
    let folder = tempfile::tempdir().unwrap();
    let model = toy::save_model(folder.path());
    let runs = folder.path().join("runs");
    let [model, runs_text] = [&model, &runs].map(|path| path.to_str().unwrap());
    let open = || Process::serve(&["--model", model, "--runs", runs_text]);
    let (mut first, url) = open();
    let file = process::upload(&url, &lines());
    let config = json!({"checkpoint.save_freq": 2});
    let hyperparameters = json!({"n_epochs": STEPS / 2, "batch_size": 1, "learning_rate_multiplier": 100});
    let extra = json!({"hyperparameters": hyperparameters, "x_svs": {"config": config}});
    let body = request(&file, &extra);
    let made = || process::post(&url, JOBS, &body)["id"].as_str().unwrap().to_owned();
    let [id, whole] = [made(), made()];
    until("a checkpoint, as the ninth step has its own", || {
        history::read(&runs.join(&id)).unwrap_or_default().len() >= 9
    });
    first.kill();
    let (_second, url) = open();
    for id in [&id, &whole] {
        until("it succeeds", || {
            let status = process::get(&url, &format!("{JOBS}/{id}"))["status"].clone();
            assert!(status != "failed" && status != "cancelled", "{status}");
            status == "succeeded"
        });
    }
    let told = process::get(&url, &format!("{JOBS}/{id}/events?limit=1000"));
    let resumed = told["data"].as_array().unwrap().iter().any(|event| {
        let message = event["message"].as_str().unwrap();
        message.starts_with("Fine-tuning job resumed at step ") && !message.ends_with(" 0")
    });
    assert!(resumed, "{told}");
    let losses = |id: &str| {
        let steps = history::read(&runs.join(id)).unwrap();
        let loss = |step: history::Record| (step.step, step.metrics["train/loss"].to_bits());
        steps.into_iter().map(loss).collect::<Vec<_>>()
    };
    let interrupted = losses(&id);
    assert_eq!(interrupted.len() as u64, STEPS);
    assert_eq!(interrupted, losses(&whole), "as if nothing had happened");
    let tuned = process::get(&url, &format!("{JOBS}/{id}"))["fine_tuned_model"].clone();
    let chat = json!({"model": tuned, "messages": asked(7), "max_tokens": 4});
    assert_eq!(process::post(&url, "/v1/chat/completions", &chat)["model"], tuned);
}
