//! Sleep and memory occupation: the KV cache's memory goes back to the system, nothing is lost, and answers stay the same.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use svs_engine::load::save;
use svs_trainer::run::config::{ProblemSource, Recipe};

use super::harness::{Server, cached_model, completion, events};
use crate::training::process::{Process, get, post};

const TEXT: &str = "/v1/completions";
const MEBIBYTE: u64 = 1 << 20;

fn stream_body() -> Value {
    completion(json!({"seed": 7, "max_tokens": 400, "ignore_eos": true, "stream": true, "return_token_ids": true}))
}

fn tokens(events: &[Value]) -> Vec<Value> {
    let ids = events
        .iter()
        .filter_map(|event| event["choices"][0]["token_ids"].as_array());
    ids.flatten().cloned().collect()
}

fn flags(server: &Server) -> (Value, Value) {
    let asked = |path: &str, name: &str| server.get(path).body[name].clone();
    (asked("/is_sleeping", "is_sleeping"), asked("/is_paused", "is_paused"))
}

#[test]
fn what_is_kept_goes_on_with_the_same_tokens() {
    let server = Server::slow(|_| {});
    let whole = tokens(&server.stream(TEXT, &stream_body()));
    let stream = server.open(TEXT, &stream_body());
    server.wait_until("stream", |stats| stats.running == 1 && stats.steps > 500);
    let slept = server.post("/sleep?level=1&mode=keep", &Value::Null);
    assert_eq!(
        (slept.status, slept.body),
        (200, json!({"status": "sleeping", "level": 1}))
    );
    assert_eq!(flags(&server), (json!(true), json!(true)));
    let embed = json!({"model": "tiny-random", "input": "a"});
    for (path, body) in [(TEXT, completion(json!({}))), ("/v1/embeddings", embed)] {
        let refused = server.post(path, &body);
        assert_eq!((refused.status, refused.error()), (503, ("", "sleeping")), "{path}");
        assert_eq!(refused.header("retry-after"), Some("1"));
        let message = refused.body["error"]["message"].as_str().unwrap();
        assert!(message.contains("POST /wake_up"), "{message}");
    }
    for path in ["/resume", "/pause", "/continue_generation", "/v1/train/start"] {
        let refused = server.post(path, &Value::Null);
        assert_eq!((refused.status, refused.error()), (409, ("", "sleeping")), "{path}");
    }
    // Asleep already: sleeping again changes nothing.
    assert_eq!(server.post("/sleep?mode=abort", &Value::Null).status, 200);
    // Weights are awake anyway; the memory stays away until it is asked for.
    for (query, tags, asleep) in [
        ("?tags=weights", json!(["weights"]), true),
        ("?tags=weights&tags=weights", json!(["weights"]), true),
        ("?tags=weights&tags=kv_cache", json!(["weights", "kv_cache"]), false),
        ("?tags=kv_cache", json!(["kv_cache"]), false),
        ("", json!(["kv_cache"]), false),
    ] {
        let awake = server.post(&format!("/wake_up{query}"), &Value::Null);
        let wanted = json!({"status": "awake", "tags": tags});
        assert_eq!((awake.status, awake.body), (200, wanted), "{query}");
        assert_eq!(flags(&server), (json!(asleep), json!(asleep)), "{query}");
    }
    assert_eq!(tokens(&events(stream)), whole);
    assert_eq!(flags(&server), (json!(false), json!(false)));
    assert_eq!(server.post("/wake_up", &Value::Null).status, 200, "awake already");
    // A pause from before outlives the sleep.
    assert_eq!(server.post("/pause", &Value::Null).status, 200);
    assert_eq!(server.post("/sleep", &Value::Null).status, 200);
    assert_eq!(server.post("/wake_up", &Value::Null).status, 200);
    assert_eq!(flags(&server), (json!(false), json!(true)));
    assert_eq!(server.post("/resume", &Value::Null).status, 200);
    assert_eq!(tokens(&server.stream(TEXT, &stream_body())), whole);
}

#[test]
fn memory_is_released_only_where_nothing_needs_it() {
    let server = Server::slow(|config| {
        config.train.recipe = Recipe::Grpo;
        config.train.problems.source = ProblemSource::Trajectories;
    });
    let (release, resume) = ("/release_memory_occupation", "/resume_memory_occupation");
    let kv = json!({"tags": ["kv_cache"]});
    let stream = server.open(TEXT, &stream_body());
    server.wait_until("stream", |stats| stats.running == 1);
    for (path, body, status, param, code) in [
        (release, kv.clone(), 400, "", "requests_running"),
        (release, Value::Null, 400, "tags", "missing_parameter"),
        (release, json!({"tags": ["weights"]}), 400, "tags", "invalid_value"),
        (
            release,
            json!({"tags": ["kv_cache", "cuda_graph"]}),
            400,
            "tags",
            "invalid_value",
        ),
        (release, json!({"tags": []}), 400, "tags", "missing_parameter"),
        (resume, json!({"tags": ["weights", "x"]}), 400, "tags", "invalid_value"),
        ("/sleep?level=2", Value::Null, 400, "level", "invalid_value"),
        ("/sleep?level=0", Value::Null, 400, "level", "invalid_value"),
        ("/sleep?mode=soon", Value::Null, 400, "mode", "invalid_value"),
        ("/sleep?depth=1", Value::Null, 400, "depth", "unknown_parameter"),
        ("/sleep?level=a", Value::Null, 400, "level", "invalid_value"),
        ("/sleep?mode=wait&mode=keep", Value::Null, 400, "mode", "invalid_value"),
        ("/wake_up?tags=", Value::Null, 400, "tags", "invalid_value"),
        (
            "/wake_up?tags=kv_cache&tags=x",
            Value::Null,
            400,
            "tags",
            "invalid_value",
        ),
    ] {
        let refused = server.post(path, &body);
        assert_eq!(
            (refused.status, refused.error()),
            (status, (param, code)),
            "{path} {body}: {}",
            refused.body
        );
    }
    assert_eq!(flags(&server), (json!(false), json!(false)));
    assert_eq!(tokens(&events(stream)).len(), 400);
    server.wait_until_idle();
    assert_eq!(server.post("/v1/train/start", &Value::Null).status, 200);
    for path in ["/sleep", release] {
        let refused = server.post(path, if path == release { &kv } else { &Value::Null });
        assert_eq!(
            (refused.status, refused.error()),
            (409, ("", "wrong_state")),
            "{path}: {}",
            refused.body
        );
    }
    server.post("/v1/train/stop", &Value::Null);
    let deadline = Instant::now() + Duration::from_secs(60);
    while server.post(release, &kv).status != 200 {
        assert!(Instant::now() < deadline, "no run, no bound");
        std::thread::sleep(Duration::from_millis(20));
    }
    for (tags, asleep) in [(json!(["weights"]), true), (json!(["weights", "kv_cache"]), false)] {
        assert_eq!(server.post(resume, &json!({"tags": tags})).status, 200);
        assert_eq!(flags(&server), (json!(asleep), json!(asleep)), "{tags}");
    }
    assert_eq!(tokens(&server.stream(TEXT, &stream_body())).len(), 400);
}

#[test]
fn resident_memory_falls_and_answers_stay_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let model = cached_model();
    save(&folder.path().join("model"), &model, &model.params).unwrap();
    let config = folder.path().join("svs.toml");
    std::fs::write(
        &config,
        format!("[engine]\nkv_cache_bytes = {}\nthreads = 1\n", 128 * MEBIBYTE),
    )
    .unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (model, runs, config) = (path("model"), path("runs"), path("svs.toml"));
    let (process, url) = Process::serve(&["--model", &model, "--runs", &runs, "--config", &config]);
    let name = get(&url, "/v1/models")["data"][0]["id"].clone();
    let ask = |seed: u32| {
        let prompt: Vec<u32> = (0..496).map(|at| (at * 7 + seed * 31 + at * seed) % 256).collect();
        let body =
            json!({"model": name, "prompt": prompt, "max_tokens": 8, "temperature": 0, "return_token_ids": true});
        post(&url, TEXT, &body)["choices"][0]["token_ids"].clone()
    };
    // 16 KiB a token: the prompts stay in the prefix cache.
    let before: Vec<Value> = (0..16).map(ask).collect();
    let full = process.resident_bytes();
    assert!(full > 120 * MEBIBYTE, "{full} bytes with a full cache");
    post(&url, "/sleep", &Value::Null);
    let asleep = process.resident_bytes();
    assert!(asleep + 100 * MEBIBYTE < full, "{full} bytes awake, {asleep} asleep");
    post(&url, "/wake_up", &Value::Null);
    let after: Vec<Value> = (0..16).map(ask).collect();
    assert_eq!(after, before);
    println!("resident: {full} bytes with a full cache, {asleep} asleep");
}
