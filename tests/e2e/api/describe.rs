//! What the server says of itself, and whether it generates.

use serde_json::json;

use super::harness::{CONTEXT, Server, completion};

#[test]
fn version_model_and_bounds_are_the_real_ones() {
    let server = Server::with(|config| {
        config.server.served_model_names = vec!["one".into(), "two".into()];
        config.engine.max_num_seqs = 7;
        config.engine.kv_blocks = Some(100);
    });
    assert_eq!(
        server.get("/version").body,
        json!({"version": env!("CARGO_PKG_VERSION")})
    );
    let labelled = json!({"weight_version": "base", "version": 0});
    assert_eq!(server.get("/weight_info").body, labelled);
    let model = server.get("/model_info").body;
    assert_eq!(server.get("/get_model_info").body, model);
    for (key, value) in [
        ("model_path", json!("tiny-random")),
        ("is_generation", json!(true)),
        ("weight_version", json!("base")),
        ("model_type", json!("llama")),
        ("architectures", json!(["LlamaForCausalLM"])),
    ] {
        assert_eq!(model[key], value, "{key}");
    }
    assert_eq!(
        server
            .post(
                "/v1/completions",
                &completion(json!({"model": "two", "max_tokens": 5, "ignore_eos": true}))
            )
            .status,
        200
    );
    let bounds = server.get("/server_info").body;
    for (key, value) in [
        ("status", json!("ready")),
        ("served_model_name", json!("one")),
        ("served_model_names", json!(["one", "two"])),
        ("context_length", json!(CONTEXT)),
        ("max_running_requests", json!(7)),
        ("max_total_num_tokens", json!(1600)),
        ("dtype", json!("f32")),
        ("device", json!("cpu")),
    ] {
        assert_eq!(bounds[key], value, "{key}");
    }
    let state = &bounds["internal_states"][0];
    assert_eq!(
        (&state["generation_tokens"], &state["num_running_reqs"]),
        (&json!(5), &json!(0))
    );
}

#[test]
fn the_load_counts_requests_under_way() {
    let server = Server::start();
    assert_eq!(server.get("/load").body, json!({"server_load": 0}));
    server.stack.engine.set_paused(true);
    let asked = completion(json!({"stream": true, "max_tokens": 2, "n": 2}));
    let held: Vec<_> = (0..3).map(|_| server.open("/v1/completions", &asked)).collect();
    assert_eq!(server.get("/load").body, json!({"server_load": 3}));
    drop(held);
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while server.get("/load").body != json!({"server_load": 0}) {
        assert!(
            std::time::Instant::now() < deadline,
            "clients that left are not counted"
        );
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}

#[test]
fn health_is_shown_by_a_token() {
    let server = Server::with(|config| config.server.health_timeout_seconds = 1);
    assert_eq!(server.get("/ping").status, 200);
    assert_eq!(server.post_raw("/ping", &[], b"").status, 200);
    let before = server.stack.engine.stats().generation_tokens;
    let answer = server.get("/health_generate");
    assert_eq!((answer.status, &answer.body["status"]), (200, &json!("ok")));
    server.wait_until("token", |stats| stats.generation_tokens == before + 1);
    assert_eq!(server.post_raw("/pause", &[], b"").status, 200);
    let answer = server.get("/health_generate");
    assert_eq!((answer.status, answer.error().1), (503, "paused"));
    assert_eq!(server.get("/server_info").body["status"], "paused");
    assert_eq!(server.post_raw("/resume", &[], b"").status, 200);
    assert_eq!(server.post_raw("/sleep", &[], b"").status, 200);
    let answer = server.get("/health_generate");
    assert_eq!((answer.status, answer.error().1), (503, "sleeping"));
    assert_eq!(server.post_raw("/wake_up", &[], b"").status, 200);
    server.stack.engine.shutdown(std::time::Duration::from_secs(5));
    let answer = server.get("/health_generate");
    assert_eq!((answer.status, answer.error().1), (503, "engine_stopped"));
}
