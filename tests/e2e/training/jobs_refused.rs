//! Requests for fine-tuning jobs that cannot be honoured are refused by name; files that cannot be trained on fail their job.

use serde_json::{Value, json};

use super::jobs::{JOBS, create, lines, request, server, wait_for};
use crate::api::files::upload;

#[test]
fn a_request_that_cannot_be_honoured_is_refused_by_name() {
    let (_folder, server) = server(|_| {});
    let file = upload(&server, &lines());
    let with = |path: &str, value: Value| {
        let mut body = request("toy", &file, &json!({"hyperparameters": {}}));
        if value.is_null() {
            let (parent, key) = path.rsplit_once('/').unwrap();
            body.pointer_mut(parent).unwrap().as_object_mut().unwrap().remove(key);
        } else {
            let (parent, key) = path.rsplit_once('/').unwrap();
            body.pointer_mut(parent).unwrap()[key] = value;
        }
        body
    };
    let code = json!({"type": "code", "name": "x", "tests": [{"input": "", "output": ""}]});
    for (path, value, status, param, said) in [
        ("/model", json!("gpt-nine"), 404, "model", "not served"),
        ("/model", Value::Null, 400, "model", "required"),
        ("/training_file", json!("file-none"), 400, "training_file", "no file"),
        ("/validation_file", json!("../x"), 400, "validation_file", "no file"),
        ("/suffix", json!("a:b"), 400, "suffix", "letters"),
        ("/seed", json!(-1), 400, "seed", "u64"),
        ("/metadata", json!({"k": "v".repeat(600)}), 400, "metadata.k", "512"),
        (
            "/hyperparameters",
            json!({"n_epochs": 1}),
            400,
            "hyperparameters",
            "within `method.reinforcement`",
        ),
        (
            "/integrations",
            json!([{"type": "wandb"}]),
            400,
            "integrations",
            "not supported",
        ),
        (
            "/method/type",
            json!("supervised"),
            400,
            "method.reinforcement",
            "does not go with",
        ),
        (
            "/method",
            json!({"type": "supervised", "supervised": {"hyperparameters": {"batch_size": 0}}}),
            400,
            "method.supervised.hyperparameters.batch_size",
            "auto",
        ),
        (
            "/method",
            json!({"type": "supervised", "supervised": {"x_svs": {"config": {"rollout.n": 4}}}}),
            400,
            "method.supervised.x_svs.config.rollout.n",
            "no use for it",
        ),
        (
            "/method/supervised",
            json!({}),
            400,
            "method.supervised",
            "does not go with",
        ),
        (
            "/hyperparameters",
            json!({"speed": 1}),
            400,
            "hyperparameters.speed",
            "not a parameter",
        ),
        ("/method/type", json!("dpo"), 400, "method.type", "not supported"),
        ("/method/dpo", json!({}), 400, "method.dpo", "not supported"),
        (
            "/method/reinforcement",
            Value::Null,
            400,
            "method.reinforcement",
            "required",
        ),
        (
            "/method/reinforcement/response_format",
            json!({}),
            400,
            "method.reinforcement.response_format",
            "not supported",
        ),
        (
            "/method/reinforcement/grader",
            json!({"type": "magic"}),
            400,
            "method.reinforcement.grader",
            "magic",
        ),
        (
            "/method/reinforcement/grader",
            code,
            400,
            "method.reinforcement.grader",
            "programs",
        ),
        (
            "/method/reinforcement/hyperparameters/n_epochs",
            json!(0),
            400,
            "method.reinforcement.hyperparameters.n_epochs",
            "auto",
        ),
        (
            "/method/reinforcement/hyperparameters/eval_interval",
            json!(2),
            400,
            "method.reinforcement.hyperparameters.eval_interval",
            "validation_file",
        ),
        (
            "/method/reinforcement/hyperparameters/x",
            json!(2),
            400,
            "method.reinforcement.hyperparameters.x",
            "not a parameter",
        ),
        (
            "/method/reinforcement/x_svs",
            json!({"recipe": "dapo"}),
            400,
            "method.reinforcement.x_svs.recipe",
            "neither",
        ),
        (
            "/method/reinforcement/x_svs",
            json!({"config": {"problems.files": ["/etc/passwd"]}}),
            400,
            "method.reinforcement.x_svs.config.problems.files",
            "training_file",
        ),
        (
            "/method/reinforcement/x_svs",
            json!({"config": {"rollout.n": 1}}),
            400,
            "method.reinforcement.x_svs.config.rollout.n",
            "1",
        ),
    ] {
        let answer = server.post(JOBS, &with(path, value));
        assert_eq!(
            (answer.status, answer.error().0),
            (status, param),
            "{path}: {}",
            answer.body
        );
        let message = answer.body["error"]["message"].as_str().unwrap();
        assert!(message.contains(said), "{message}");
    }
    assert_eq!(server.get(JOBS).body["data"], json!([]), "none was made");
    for path in ["", "/events", "/checkpoints"] {
        let answer = server.get(&format!("{JOBS}/ftjob-none{path}"));
        assert_eq!(
            (answer.status, answer.error()),
            (404, ("id", "job_not_found")),
            "{path}"
        );
    }
}

#[test]
fn a_file_that_cannot_be_trained_on_fails_the_job_with_its_line() {
    let (_folder, server) = server(|_| {});
    let asked = r#"{"messages": [{"role": "user", "content": "Say 3."}], "answer": "3"}"#;
    for (second, extra, param, said) in [
        (
            r#"{"messages": [{"role": "user", "content": "Say 3."}]}"#,
            json!({}),
            "training_file",
            "line 2: the grader cannot be used",
        ),
        (
            r#"{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}], "answer": "3"}"#,
            json!({}),
            "training_file",
            "line 2: column `messages` must end with a message of the user",
        ),
    ] {
        let file = upload(&server, &format!("{asked}\n{second}\n"));
        let id = create(&server, &request("toy", &file, &extra));
        let error = wait_for(&server, &id, "failed")["error"].clone();
        assert_eq!(
            (&error["code"], &error["param"]),
            (&json!(format!("invalid_{param}")), &json!(param)),
            "{error}"
        );
        let message = error["message"].as_str().unwrap();
        assert!(
            message.contains(said) && message.contains(&file) && !message.contains("/tmp"),
            "{message}"
        );
    }
}
