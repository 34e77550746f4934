//! Weights that are refused: outside the folder, wrong, not for this model, at the wrong time, too many.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use serde_json::{Value, json};
use svs_engine::load::{LoadedModel, save};

use super::harness::{Server, completion, events};
use super::updates::{DISK, FINISH, START, TEXT, UPDATE, drawn, label, serving, trained, write, write_slow};

/// Folders that are refused, with a word of the reason.
fn broken(root: &Path) -> Vec<(&'static str, &'static str)> {
    let spoil = |name: &str, change: &dyn Fn(&mut LoadedModel)| {
        let mut model = trained(1);
        change(&mut model);
        save(&root.join(name), &model, &model.params).unwrap();
    };
    spoil("infinite", &|model| model.params.values[7] = f32::INFINITY);
    spoil("other-eps", &|model| model.config.rms_norm_eps = 1e-6);
    spoil("cut", &|_| {});
    let file = root.join("cut/model.safetensors");
    let bytes = fs::read(&file).unwrap();
    fs::write(&file, &bytes[..bytes.len() / 2]).unwrap();
    spoil("bare", &|_| {});
    fs::remove_file(root.join("bare/config.json")).unwrap();
    let outside = root.parent().unwrap().join("outside");
    write(&outside, 1);
    symlink(&outside, root.join("link")).unwrap();
    spoil("file-link", &|_| {});
    fs::remove_file(root.join("file-link/model.safetensors")).unwrap();
    symlink(
        outside.join("model.safetensors"),
        root.join("file-link/model.safetensors"),
    )
    .unwrap();
    vec![
        ("infinite", "element 7"),
        ("other-eps", "`rms_norm_eps`"),
        ("cut", "corrupt"),
        ("bare", "config.json"),
        ("link", "not a folder inside"),
        ("file-link", "no such file"),
        ("../outside", "not a folder inside"),
        ("/", "not a folder inside"),
        ("", "not a folder inside"),
        ("nowhere", "not a folder inside"),
    ]
}

#[test]
fn what_is_wrong_is_refused_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("allowed");
    fs::create_dir(&root).unwrap();
    let server = serving(&root);
    let base = drawn(&server);
    for (path, reason) in broken(&root) {
        let answer = server.post(DISK, &json!({"model_path": path}));
        assert_eq!(
            (answer.status, answer.error()),
            (400, ("model_path", "invalid_weights")),
            "{path}"
        );
        let message = answer.body["error"]["message"].as_str().unwrap().to_owned();
        assert!(
            message.contains(reason) && !message.contains(": :"),
            "{path}: {message}"
        );
        let around = folder.path().to_str().unwrap();
        assert!(
            !message.contains(around),
            "what surrounds the folder is not told: {message}"
        );
    }
    write(&root.join("good"), 1);
    let good = |extra: Value| {
        let mut body = json!({"model_path": "good"});
        body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        body
    };
    for (route, body, status, param, code) in [
        (DISK, json!({}), 400, "model_path", "missing_parameter"),
        (
            DISK,
            good(json!({"load_format": "dummy"})),
            400,
            "load_format",
            "invalid_value",
        ),
        (DISK, good(json!({"is_async": true})), 400, "is_async", "invalid_value"),
        (DISK, good(json!({"manifest": {}})), 400, "manifest", "invalid_value"),
        (
            DISK,
            good(json!({"in_flight": "drop"})),
            400,
            "in_flight",
            "invalid_value",
        ),
        (
            DISK,
            good(json!({"weight_version": ""})),
            400,
            "weight_version",
            "invalid_value",
        ),
        (DISK, good(json!({"model": "x"})), 400, "model", "unknown_parameter"),
        (START, json!({"x": 1}), 400, "x", "unknown_parameter"),
        (UPDATE, json!({}), 400, "update_info", "missing_parameter"),
        (
            UPDATE,
            json!({"update_info": {}}),
            400,
            "update_info.weight_dir",
            "missing_parameter",
        ),
        (
            UPDATE,
            json!({"update_info": {"weight_dir": "good"}, "weight_dir": "good"}),
            400,
            "weight_dir",
            "invalid_value",
        ),
        (
            UPDATE,
            json!({"update_info": {"names": ["a"], "dtypes": ["bfloat16"], "shapes": [[1]]}}),
            501,
            "update_info.names",
            "unsupported_transfer",
        ),
        (
            UPDATE,
            json!({"update_info": [{"ipc_handles": []}]}),
            501,
            "update_info.ipc_handles",
            "unsupported_transfer",
        ),
        (
            FINISH,
            json!({"weight_version": "a\nb"}),
            400,
            "weight_version",
            "invalid_value",
        ),
        (FINISH, json!({"in_flight": 3}), 400, "in_flight", "invalid_type"),
        (
            "/update_weight_version",
            json!({}),
            400,
            "new_version",
            "missing_parameter",
        ),
        (
            "/update_weight_version",
            json!({"new_version": ""}),
            400,
            "new_version",
            "invalid_value",
        ),
        (
            "/weight_checker",
            json!({"action": "reset"}),
            400,
            "action",
            "invalid_value",
        ),
        (
            "/weight_checker",
            json!({"action": "compare"}),
            400,
            "baseline",
            "missing_parameter",
        ),
        (
            "/weight_checker",
            json!({"action": "checksum", "baseline": {}}),
            400,
            "baseline",
            "invalid_value",
        ),
    ] {
        let answer = server.post(route, &body);
        assert_eq!(
            (answer.status, answer.error()),
            (status, (param, code)),
            "{route} {body}"
        );
    }
    assert_eq!(drawn(&server), base);
    assert_eq!(label(&server), json!({"weight_version": "base", "version": 0}));
    let closed = Server::start();
    for (route, body) in [
        (DISK, good(json!({}))),
        (START, json!({})),
        (UPDATE, json!({})),
        (FINISH, json!({})),
    ] {
        let answer = closed.post(route, &body);
        assert_eq!(
            (answer.status, answer.error().1),
            (403, "weights_dir_not_set"),
            "{route}"
        );
    }
}

#[test]
fn a_training_run_owns_the_weights() {
    let folder = tempfile::tempdir().unwrap();
    write(&folder.path().join("next"), 1);
    let server = serving(folder.path());
    let config = json!({
        "recipe": "grpo", "steps": 5, "problems": {"source": "trajectories"},
        "trajectories": {"groups_per_step": 2, "poll_ms": 5, "idle_timeout_s": 60.0},
    });
    let started = server.post("/v1/train/start", &json!({"config": config}));
    assert_eq!(started.status, 200, "{:?}", started.body);
    for (route, body) in [(DISK, json!({"model_path": "next"})), (START, Value::Null)] {
        let answer = if body.is_null() {
            server.post_raw(route, &[], b"")
        } else {
            server.post(route, &body)
        };
        assert_eq!(
            (answer.status, answer.error().1),
            (409, "wrong_state"),
            "{route}: {:?}",
            answer.body
        );
    }
    assert_eq!(server.post_raw("/v1/train/stop", &[], b"").status, 200);
    let ended = server.stack.trainer.wait();
    let version = label(&server)["version"].as_u64().unwrap();
    let answer = server.post(DISK, &json!({"model_path": "next"}));
    assert_eq!(
        (answer.status, &answer.body["version"]),
        (200, &json!(version + 1)),
        "{ended:?}"
    );
}

#[test]
fn room_is_bounded() {
    let folder = tempfile::tempdir().unwrap();
    write_slow(&folder.path().join("next"));
    let server = Server::slow(|config| {
        config.server.weights_dir = Some(folder.path().to_path_buf());
        config.engine.max_weight_sets = 2;
    });
    let stream = server.open(
        TEXT,
        &completion(json!({"max_tokens": 400, "ignore_eos": true, "stream": true})),
    );
    server.wait_until("running request", |stats| stats.running == 1);
    assert_eq!(server.post_raw("/pause?mode=keep", &[], b"").status, 200);
    let drain = json!({"model_path": "next", "in_flight": "drain"});
    assert_eq!(server.post(DISK, &drain).body["version"], 1);
    let full = server.post(DISK, &drain);
    assert_eq!((full.status, full.error().1), (409, "no_room"), "{:?}", full.body);
    assert_eq!(server.post_raw("/resume", &[], b"").status, 200);
    let last = events(stream).pop().unwrap();
    assert_eq!(last["choices"][0]["finish_reason"], "length");
    assert_eq!(server.post(DISK, &drain).body["version"], 2);
}
