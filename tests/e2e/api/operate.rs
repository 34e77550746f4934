//! Names, keys, overload, metrics, training control, stopping.

use serde_json::{Value, json};
use svs::http::listen::Stopped;

use super::harness::{Server, chat, events};

const CHAT: &str = "/v1/chat/completions";

#[test]
fn names_decide_who_is_answered() {
    let cases: [(&[&str], &str, u16); 5] = [
        (&[], "tiny-random", 200),
        (&[], "policy", 404),
        (&["policy", "other"], "other", 200),
        (&["policy"], "tiny-random", 404),
        (&["policy", "*"], "anything/at all", 200),
    ];
    for (names, asked, status) in cases {
        let server =
            Server::with(|config| config.server.served_model_names = names.iter().map(|n| (*n).into()).collect());
        let answer = server.post(CHAT, &chat(json!({"model": asked, "max_tokens": 1})));
        assert_eq!(answer.status, status, "{names:?} {asked}: {:?}", answer.body);
        if status == 200 {
            assert_eq!(answer.body["model"], asked);
        }
        let list = server.get("/v1/models");
        let listed: Vec<&str> = list.body["data"]
            .as_array()
            .unwrap()
            .iter()
            .map(|model| model["id"].as_str().unwrap())
            .collect();
        let expected: Vec<&str> = names.iter().copied().filter(|name| *name != "*").collect();
        assert_eq!(
            listed,
            if expected.is_empty() {
                vec!["tiny-random"]
            } else {
                expected
            }
        );
        assert_eq!(server.get(&format!("/v1/models/{}", listed[0])).body["id"], listed[0]);
    }
}

#[test]
fn a_key_guards_the_api_only() {
    let server = Server::with(|config| config.server.api_key = Some("secret".into()));
    for (value, status) in [
        (None, 401),
        (Some("Bearer wrong"), 401),
        (Some("Bearer secret2"), 401),
        (Some("secret"), 401),
        (Some("Bearer secret"), 200),
        (Some("bearer secret"), 200),
    ] {
        let mut headers = vec![("content-type", "application/json")];
        headers.extend(value.map(|value| ("authorization", value)));
        let answer = server.post_raw(CHAT, &headers, chat(json!({"max_tokens": 1})).to_string().as_bytes());
        assert_eq!(answer.status, status, "{value:?}");
        if status == 401 {
            assert_eq!(answer.error().1, "invalid_api_key");
        }
    }
    assert_eq!(
        (server.get("/health").status, server.get("/metrics").status),
        (200, 200)
    );
    assert_eq!(server.get("/v1/train/status").status, 401);
}

#[test]
fn a_full_queue_is_429_with_retry_after() {
    let server = Server::with(|config| {
        config.engine.max_num_seqs = 1;
        config.engine.max_waiting = 2;
    });
    server.stack.engine.set_paused(true);
    let body = chat(json!({"stream": true, "max_tokens": 2, "seed": 1}));
    let mut held = Vec::new();
    let refused = loop {
        let response = server.open(CHAT, &body);
        if response.status() != 200 {
            break response;
        }
        held.push(response);
        assert!(held.len() <= 8, "the queue has a bound");
    };
    assert!(!held.is_empty());
    assert_eq!(refused.status(), 429);
    assert_eq!(refused.headers()["retry-after"], "1");
    let error: Value = serde_json::from_str(&refused.into_body().read_to_string().unwrap()).unwrap();
    assert_eq!(
        (&error["error"]["type"], &error["error"]["code"]),
        (&json!("rate_limit_error"), &json!("overloaded"))
    );
    server.stack.engine.set_paused(false);
    for response in held {
        assert!(!events(response).is_empty(), "accepted requests finish");
    }
    assert_eq!(server.post(CHAT, &chat(json!({"max_tokens": 1}))).status, 200);
}

#[test]
fn a_stopped_engine_is_503() {
    let server = Server::start();
    assert_eq!(server.get("/health").status, 200);
    server.stack.engine.shutdown(std::time::Duration::from_secs(5));
    let answer = server.post(CHAT, &chat(json!({"max_tokens": 1})));
    assert_eq!((answer.status, answer.error().1), (503, "engine_stopped"));
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while server.get("/health").status == 200 {
        assert!(
            std::time::Instant::now() < deadline,
            "a server that cannot answer says it is healthy"
        );
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    assert_eq!(server.get("/health").error().1, "engine_stopped");
}

#[test]
fn metrics_count_what_happened() {
    let server = Server::start();
    let body = chat(json!({"n": 2, "max_tokens": 3, "ignore_eos": true}));
    let answer = server.post(CHAT, &body);
    let prompt = answer.body["usage"]["prompt_tokens"].as_u64().unwrap();
    let metrics = server.get("/metrics");
    assert!(metrics.header("content-type").unwrap().starts_with("text/plain"));
    let text = metrics.body.as_str().unwrap().to_string();
    let labels = "{engine=\"0\",model_name=\"tiny-random\"}";
    for line in [
        format!("vllm:generation_tokens_total{labels} 6"),
        format!("vllm:prompt_tokens_total{labels} {prompt}"),
        format!("vllm:num_requests_running{labels} 0"),
        format!("vllm:time_to_first_token_seconds_count{labels} 1"),
        format!("vllm:inter_token_latency_seconds_count{labels} 4"),
        format!("vllm:e2e_request_latency_seconds_count{labels} 1"),
        format!("svs_trajectories_logged_total{labels} 2"),
        "vllm:request_success_total{engine=\"0\",finished_reason=\"length\",model_name=\"tiny-random\"} 2".into(),
        "trainer_state{engine=\"0\",model_name=\"tiny-random\",state=\"idle\"} 1".into(),
    ] {
        assert!(text.lines().any(|have| have == line), "no {line:?} in\n{text}");
    }
}

#[test]
fn the_document_and_the_trainer_answer() {
    let server = Server::start();
    let document = server.get("/openapi.json").body;
    assert!(document["paths"]["/v1/chat/completions"]["post"].is_object());
    let status = server.get("/v1/train/status");
    assert_eq!((status.status, &status.body["state"]), (200, &json!("idle")));
    assert_eq!(server.post_raw("/v1/train/stop", &[], b"").error().1, "wrong_state");
}

#[test]
fn stopping_finishes_running_requests() {
    let mut server = Server::start();
    let body = chat(json!({"stream": true, "n": 8, "max_tokens": 200, "ignore_eos": true, "return_token_ids": true}));
    let response = server.open(CHAT, &body);
    server.begin_stop();
    let address = server.url.strip_prefix("http://").unwrap().to_string();
    let tokens: usize = events(response)
        .iter()
        .map(|event| event["choices"][0]["token_ids"].as_array().map_or(0, Vec::len))
        .sum();
    assert_eq!(tokens, 8 * 200);
    assert_eq!(server.stop(), Stopped::Drained);
    assert!(
        std::net::TcpStream::connect(address).is_err(),
        "nobody listens any more"
    );
}

#[test]
fn stopping_is_bounded() {
    let mut server = Server::with(|config| config.server.shutdown_grace_seconds = 1);
    server.stack.engine.set_paused(true);
    let response = server.open(CHAT, &chat(json!({"stream": true})));
    let started = std::time::Instant::now();
    assert_eq!(server.stop(), Stopped::Cut);
    assert!(started.elapsed() < std::time::Duration::from_secs(60));
    drop(response);
    server.stack.engine.set_paused(false);
    server.wait_until_idle();
}
