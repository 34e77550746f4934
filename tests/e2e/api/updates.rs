//! Weights from outside trainers: read from a folder, published, named, compared.

use std::path::Path;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use svs_engine::load::{LoadedModel, save};

use super::harness::{Server, completion, events, slow_model, tiny_model};

pub(super) const TEXT: &str = "/v1/completions";
pub(super) const DISK: &str = "/update_weights_from_disk";
pub(super) const START: &str = "/start_weight_update";
pub(super) const UPDATE: &str = "/update_weights";
pub(super) const FINISH: &str = "/finish_weight_update";

/// The tiny model after a step of somebody's training.
pub(super) fn trained(step: usize) -> LoadedModel {
    after_a_step(tiny_model(), step)
}

fn after_a_step(mut model: LoadedModel, step: usize) -> LoadedModel {
    for (at, value) in model.params.values.iter_mut().enumerate() {
        *value += ((at * 31 + step * 7) % 13) as f32 / 400.0;
    }
    model
}

pub(super) fn write(folder: &Path, step: usize) {
    let model = trained(step);
    save(folder, &model, &model.params).unwrap();
}

pub(super) fn write_slow(folder: &Path) {
    let model = after_a_step(slow_model(), 1);
    save(folder, &model, &model.params).unwrap();
}

pub(super) fn serving(root: &Path) -> Server {
    Server::with(|config| config.server.weights_dir = Some(root.to_path_buf()))
}

/// What a request gets: tokens and logprobs.
pub(super) fn drawn(server: &Server) -> Value {
    let extra = json!({"seed": 4, "max_tokens": 32, "ignore_eos": true, "logprobs": 1, "return_token_ids": true});
    let answer = server.post(TEXT, &completion(extra));
    assert_eq!(answer.status, 200, "{:?}", answer.body);
    answer.body["choices"].clone()
}

pub(super) fn label(server: &Server) -> Value {
    server.get("/weight_info").body
}

#[test]
fn a_folder_becomes_the_next_version() {
    let folder = tempfile::tempdir().unwrap();
    for step in [1, 2, 3] {
        write(&folder.path().join(format!("step-{step}")), step);
    }
    let server = serving(folder.path());
    let expected = [1, 2, 3].map(|step| drawn(&Server::with_model(trained(step), |_| {})));
    let base = drawn(&server);
    let absolute = folder.path().join("step-3").to_str().unwrap().to_owned();
    for (version, path, named, step) in [
        (1, "step-1", Some("mine-1"), 0),
        (2, "step-2", None, 1),
        (3, &*absolute, Some("mine-3"), 2),
    ] {
        let mut body = json!({"model_path": path, "load_format": "auto", "manifest": null, "token_step": version});
        if let Some(named) = named {
            body["weight_version"] = json!(named);
        }
        let answer = server.post(DISK, &body);
        let wanted = named.map_or(format!("update-{version}"), str::to_owned);
        let done = json!({
            "success": true, "message": "Succeeded to update model weights.", "num_paused_requests": 0,
            "weight_version": wanted, "version": version,
        });
        assert_eq!((answer.status, answer.body), (200, done));
        assert_eq!(label(&server), json!({"weight_version": wanted, "version": version}));
        assert_eq!(server.get("/model_info").body["weight_version"], json!(wanted));
        assert_eq!(
            server.get("/health").header("x-svs-weight-version"),
            Some(&*version.to_string())
        );
        let now = drawn(&server);
        assert!(
            now == expected[step] && now != base,
            "the bits of a server that loaded the folder"
        );
        let native = server.post(
            "/generate",
            &json!({"text": "a", "sampling_params": {"max_new_tokens": 2, "ignore_eos": true}}),
        );
        let spans = json!([{"version": wanted, "start": 0, "end": 2}]);
        assert_eq!(native.body["meta_info"]["weight_versions"], spans);
    }
    let named = server.post("/update_weight_version", &json!({"new_version": "released"}));
    assert_eq!(
        (named.status, &named.body["new_version"], &named.body["success"]),
        (200, &json!("released"), &json!(true))
    );
    assert_eq!(label(&server), json!({"weight_version": "released", "version": 3}));
    assert_eq!(drawn(&server), expected[2], "a label changes no token");
}

/// Spans of the one choice of a stream.
fn spans(events: &[Value]) -> Vec<(u64, u64, u64)> {
    let spans = events
        .iter()
        .find_map(|event| event["choices"][0]["weight_versions"].as_array())
        .unwrap();
    let number = |span: &Value, key: &str| span[key].as_u64().unwrap();
    spans
        .iter()
        .map(|span| (number(span, "version"), number(span, "start"), number(span, "end")))
        .collect()
}

#[test]
fn what_is_in_flight_keeps_recomputes_drains_or_ends() {
    let folder = tempfile::tempdir().unwrap();
    write_slow(&folder.path().join("next"));
    let server = Server::slow(|config| config.server.weights_dir = Some(folder.path().to_path_buf()));
    let long = completion(json!({
        "seed": 1, "max_tokens": 480, "ignore_eos": true, "stream": true, "return_weight_versions": true,
    }));
    let pause = |mode: &str| assert_eq!(server.post("/pause_generation", &json!({"mode": mode})).status, 200);
    // Body, mode of a pause before, versions of the stream (as steps from the one before), how it ends.
    for (extra, paused, crosses, reason) in [
        (json!({}), None, false, "length"),
        (json!({"in_flight": "drain"}), Some("in_place"), false, "length"),
        (json!({"in_flight": "keep"}), Some("in_place"), true, "length"),
        (json!({"flush_cache": false}), Some("in_place"), true, "length"),
        (json!({}), Some("in_place"), true, "length"),
        (json!({}), Some("retract"), true, "length"),
        (
            json!({"abort_all_requests": true, "in_flight": "drain"}),
            Some("in_place"),
            false,
            "abort",
        ),
    ] {
        server.wait_until_idle();
        let before = label(&server)["version"].as_u64().unwrap();
        let stream = server.open(TEXT, &long);
        let start = server.stack.engine.stats().generation_tokens;
        server.wait_until("tokens", |stats| stats.generation_tokens > start + 2);
        if let Some(mode) = paused {
            pause(mode);
        }
        let mut body = json!({"model_path": "next"});
        body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        let answer = server.post(DISK, &body);
        assert_eq!(answer.status, 200, "{extra}: {:?}", answer.body);
        assert_eq!(
            server.get("/is_paused").body["is_paused"],
            paused.is_some(),
            "the pause stands"
        );
        assert_eq!(
            answer.body["num_paused_requests"],
            u64::from(crosses && paused == Some("in_place")),
            "{extra} {paused:?}"
        );
        assert_eq!(server.post_raw("/continue_generation", &[], b"").status, 200);
        let stream = events(stream);
        let mut reasons = stream
            .iter()
            .filter_map(|event| event["choices"][0]["finish_reason"].as_str());
        assert_eq!(reasons.next_back(), Some(reason), "{extra} {paused:?}");
        let versions: Vec<u64> = spans(&stream).iter().map(|span| span.0).collect();
        let wanted = if crosses {
            vec![before, before + 1]
        } else {
            vec![before]
        };
        assert_eq!(versions, wanted, "{extra} {paused:?}");
    }
    pause("in_place");
    assert_eq!(
        server
            .post(DISK, &json!({"model_path": "next", "keep_pause": false}))
            .status,
        200
    );
    assert_eq!(server.get("/is_paused").body, json!({"is_paused": false}));
}

#[test]
fn an_update_goes_in_steps() {
    let folder = tempfile::tempdir().unwrap();
    write(&folder.path().join("next"), 2);
    let server = serving(folder.path());
    let (base, next) = (drawn(&server), drawn(&Server::with_model(trained(2), |_| {})));
    let place = json!({"update_info": {"weight_dir": "next"}});
    let order = |path: &str, body: &Value| {
        let answer = server.post(path, body);
        assert_eq!(
            (answer.status, answer.error().1),
            (409, "no_update"),
            "{path}: {:?}",
            answer.body
        );
    };
    order(UPDATE, &place);
    order(FINISH, &json!({}));
    let started = server.post_raw(START, &[], b"");
    assert_eq!(
        (started.status, started.body),
        (200, json!({"message": "Weight update started"}))
    );
    order(FINISH, &json!({}));
    let wrong = server.post(UPDATE, &json!({"update_info": {"weight_dir": "nowhere"}}));
    assert_eq!(
        (wrong.status, wrong.error()),
        (400, ("update_info.weight_dir", "invalid_weights"))
    );
    let read = server.post(UPDATE, &place);
    assert_eq!((read.status, read.body), (200, json!({"message": "Weights updated"})));
    assert_eq!(drawn(&server), base, "what is read does not answer yet");
    order(UPDATE, &place);
    let finished = server.post(FINISH, &json!({"weight_version": "step-42"}));
    let done = json!({"message": "Weight update finished", "weight_version": "step-42", "version": 1});
    assert_eq!((finished.status, finished.body), (200, done));
    assert_eq!(label(&server), json!({"weight_version": "step-42", "version": 1}));
    assert_eq!(drawn(&server), next);
    order(FINISH, &json!({}));
    // Begun again, the first is forgotten, and that is said.
    for _ in 0..2 {
        assert_eq!(server.post_raw(START, &[], b"").status, 200);
        assert_eq!(server.post(UPDATE, &place).status, 200);
    }
    for _ in 0..2 {
        assert_eq!(server.post_raw(START, &[], b"").status, 200);
        let answer = server.post(FINISH, &json!({}));
        assert_eq!((answer.status, answer.error().1), (409, "no_update"));
        let message = answer.body["error"]["message"].as_str().unwrap();
        assert!(message.contains("another POST /start_weight_update"), "{message}");
    }
    assert_eq!(server.post(UPDATE, &place).status, 200);
    let at_once = server.post(UPDATE, &json!({"weight_dir": "next"}));
    let done = json!({"message": "Weights updated", "weight_version": "update-2", "version": 2});
    assert_eq!((at_once.status, at_once.body), (200, done));
    assert_eq!(
        server.post(FINISH, &json!({"in_flight": "recompute"})).body["version"],
        3
    );
}

#[test]
fn checksums_are_those_of_the_tensors_served() {
    let folder = tempfile::tempdir().unwrap();
    write(&folder.path().join("next"), 5);
    let server = serving(folder.path());
    let by_hand = |model: &LoadedModel| -> Value {
        let layout = &model.params.layout;
        let hash = |name: &str| {
            let values = model.params.get(name).unwrap();
            let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
            let digest = Sha256::digest(&bytes);
            json!(digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
        };
        layout
            .entries
            .iter()
            .map(|entry| (entry.name.clone(), hash(&entry.name)))
            .collect::<serde_json::Map<_, _>>()
            .into()
    };
    let check = |body: Value| server.post("/weight_checker", &body).body;
    let base = by_hand(&tiny_model());
    assert_eq!(check(json!({"action": "checksum"}))["checksums"], base);
    assert_eq!(
        check(json!({"action": "compare", "baseline": base})),
        json!({"match": true, "mismatches": []})
    );
    assert_eq!(server.post(DISK, &json!({"model_path": "next"})).status, 200);
    assert_eq!(check(json!({"action": "checksum"}))["checksums"], by_hand(&trained(5)));
    let some = json!({"model.norm.weight": base["model.norm.weight"], "model.nothing": "0"});
    let found = check(json!({"action": "compare", "baseline": some}));
    assert_eq!(
        found,
        json!({"match": false, "mismatches": ["model.norm.weight", "model.nothing"]})
    );
}
