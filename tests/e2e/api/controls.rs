//! Engine controls in SGLang's and vLLM's words.

use serde_json::{Value, json};

use super::harness::{Answer, Server, completion, events};

const TEXT: &str = "/v1/completions";
/// Tokens of a stream that is to be met while it runs.
const MOST: usize = 480;

fn stream_of(extra: Value) -> Value {
    let mut body = completion(json!({
        "seed": 5, "max_tokens": MOST, "ignore_eos": true, "stream": true, "return_token_ids": true,
    }));
    body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    body
}

fn tokens(events: &[Value]) -> Vec<Value> {
    let ids = events
        .iter()
        .filter_map(|event| event["choices"][0]["token_ids"].as_array());
    ids.flatten().cloned().collect()
}

fn text(events: &[Value]) -> String {
    let texts = events.iter().filter_map(|event| event["choices"][0]["text"].as_str());
    texts.collect()
}

fn finish_reason(events: &[Value]) -> &Value {
    let mut reasons = events.iter().map(|event| &event["choices"][0]["finish_reason"]);
    reasons.rfind(|reason| reason.is_string()).unwrap()
}

fn control(server: &Server, path: &str, body: &Value) -> Answer {
    if body.is_null() {
        server.post_raw(path, &[], b"")
    } else {
        server.post(path, body)
    }
}

#[test]
fn a_pause_in_sglangs_words_is_the_same_pause() {
    let server = Server::slow(|_| {});
    let whole = tokens(&server.stream(TEXT, &stream_of(json!({}))));
    for (body, reason) in [
        (json!({"mode": "in_place"}), "length"),
        (json!({"mode": "retract"}), "length"),
        (json!({"mode": "abort"}), "abort"),
        (Value::Null, "abort"),
    ] {
        server.wait_until_idle();
        let stream = server.open(TEXT, &stream_of(json!({})));
        server.wait_until("running request", |stats| stats.running == 1);
        let answer = control(&server, "/pause_generation", &body);
        let paused = json!({"message": "Generation paused successfully.", "status": "ok"});
        assert_eq!((answer.status, answer.body), (200, paused), "{body}");
        assert_eq!(server.get("/is_paused").body, json!({"is_paused": true}));
        if body == json!({"mode": "retract"}) {
            assert_eq!(server.stack.engine.stats().kv_blocks_used, 0, "retracted KV is freed");
        }
        let answer = control(&server, "/continue_generation", &json!({"torch_empty_cache": false}));
        assert_eq!((answer.status, &answer.body["status"]), (200, &json!("ok")));
        let stream = events(stream);
        assert_eq!(finish_reason(&stream), reason, "{body}");
        assert_eq!(tokens(&stream)[..], whole[..tokens(&stream).len()], "{body}");
    }
}

#[test]
fn requests_end_by_either_id_with_what_they_have() {
    let server = Server::slow(|_| {});
    let whole = server.stream(TEXT, &stream_of(json!({})));
    let end = |route: &str, body: &Value, count: Option<usize>| {
        let answer = control(&server, route, body);
        let wanted = count.map_or(
            Value::String(String::new()),
            |count| json!({"status": "aborted", "aborted": count}),
        );
        assert_eq!((answer.status, answer.body), (200, wanted), "{route} {body}");
    };
    for (route, body, count) in [
        ("/abort_requests", json!({"request_ids": ["mine", "nobody's"]}), Some(1)),
        (
            "/inference/v1/abort_requests",
            json!({"request_ids": ["mine"]}),
            Some(1),
        ),
        ("/abort_requests", json!({}), Some(2)),
        ("/abort_requests", Value::Null, Some(2)),
        ("/abort_request", json!({"rid": "mine"}), None),
        ("/abort_request", json!({"rid": "", "abort_all": true}), None),
    ] {
        server.wait_until_idle();
        let mine = server.open(TEXT, &stream_of(json!({"request_id": "mine"})));
        let other = server.open(TEXT, &stream_of(json!({"request_id": "other"})));
        server.wait_until("running requests", |stats| stats.running == 2);
        end("/abort_requests", &json!({"request_ids": []}), Some(0));
        end(route, &body, count);
        let (mine, other) = (events(mine), events(other));
        assert_eq!(finish_reason(&mine), "abort", "{route} {body}");
        let both = count == Some(2) || body["abort_all"] == true;
        assert_eq!(
            finish_reason(&other),
            if both { "abort" } else { "length" },
            "{route} {body}"
        );
        let part = tokens(&mine);
        assert!(part.len() < MOST, "{} tokens", part.len());
        assert_eq!(part[..], tokens(&whole)[..part.len()]);
        server.wait_until_idle();
        assert_eq!(server.get("/is_paused").body, json!({"is_paused": false}));
    }
}

#[test]
fn an_aborted_answer_has_the_text_of_its_tokens() {
    let server = Server::slow(|_| {});
    // A stop string that every text may be the beginning of holds all of it back.
    let stop = "\u{1}".repeat(MOST - 1);
    let held = server.open(TEXT, &stream_of(json!({"stop": [stop], "logit_bias": {"1": 100.0}})));
    server.wait_until("held tokens", |stats| stats.generation_tokens >= 20);
    assert_eq!(server.post("/abort_requests", &json!({})).body["aborted"], 1);
    let held = events(held);
    let (text, tokens) = (text(&held), tokens(&held));
    assert!((1..MOST - 1).contains(&tokens.len()), "{} tokens", tokens.len());
    assert_eq!(
        (text, finish_reason(&held)),
        ("\u{1}".repeat(tokens.len()), &json!("abort"))
    );
}

#[test]
fn an_aborted_answer_counts_before_its_stream() {
    let server = Server::start();
    server.stack.engine.set_paused(true);
    let waiting = server.open(TEXT, &stream_of(json!({"request_id": "w"})));
    let answer = server.post("/abort_requests", &json!({"request_ids": ["w"]}));
    assert_eq!(answer.body["aborted"], 1);
    let waiting = events(waiting);
    assert_eq!((finish_reason(&waiting), tokens(&waiting).len()), (&json!("abort"), 0));
    server.stack.engine.set_paused(false);
    let metrics = server.get("/metrics").body.as_str().unwrap().to_owned();
    assert!(metrics.contains("svs_trajectories_logged_total{engine=\"0\",model_name=\"tiny-random\"} 0"));
}

#[test]
fn the_cache_is_dropped_where_nothing_holds_it() {
    let server = Server::slow(|_| {});
    let hits = || server.stack.engine.stats().prefix_hits;
    let ask = || server.stream(TEXT, &stream_of(json!({"prompt": "x".repeat(100), "max_tokens": 4})));
    let (whole, _) = (ask(), ask());
    assert!(hits() > 0);
    for (route, body) in [
        ("/reset_prefix_cache", json!({"success": true})),
        ("/flush_cache", json!("Cache flushed.\n")),
        ("/flush_cache?timeout=0.5", json!("Cache flushed.\n")),
    ] {
        let answer = server.post_raw(route, &[], b"");
        assert_eq!((answer.status, answer.body), (200, body), "{route}");
        let before = hits();
        assert_eq!(tokens(&ask()), tokens(&whole));
        assert_eq!(hits(), before, "{route}: nothing is left to hit");
        ask();
        assert!(hits() > before);
    }
    assert_eq!(server.get("/flush_cache").status, 200);
    for header in [("sec-fetch-site", "cross-site"), ("origin", "http://evil.example")] {
        let page = server.get_with("/flush_cache", &[header]);
        assert_eq!((page.status, page.error().1), (403, "foreign_origin"), "{header:?}");
    }
    let expected = tokens(&server.stream(TEXT, &stream_of(json!({}))));
    server.wait_until_idle();
    let stream = server.open(TEXT, &stream_of(json!({})));
    server.wait_until("running request", |stats| stats.running == 1);
    assert_eq!(server.post_raw("/pause?mode=keep", &[], b"").status, 200);
    assert_eq!(
        server.post_raw("/reset_prefix_cache", &[], b"").body,
        json!({"success": false})
    );
    assert_eq!(server.post_raw("/flush_cache", &[], b"").error().1, "requests_running");
    assert!(server.stack.engine.stats().kv_blocks_used > 0);
    let answer = server.post_raw("/reset_prefix_cache?reset_running_requests=true", &[], b"");
    assert_eq!(answer.body, json!({"success": true}));
    server.wait_until("dropped KV", |stats| stats.kv_blocks_used == 0);
    assert_eq!(server.post_raw("/resume", &[], b"").status, 200);
    assert_eq!(tokens(&events(stream)), expected, "computed anew");
}

#[test]
fn faults_are_named() {
    let server = Server::start();
    for (route, body, param, code) in [
        ("/pause_generation", json!({"mode": "keep"}), "mode", "invalid_value"),
        ("/pause_generation", json!({"how": "keep"}), "how", "unknown_parameter"),
        ("/continue_generation", json!({"now": true}), "now", "unknown_parameter"),
        (
            "/abort_requests",
            json!({"request_ids": "x"}),
            "request_ids",
            "invalid_type",
        ),
        ("/abort_requests", json!({"ids": []}), "ids", "unknown_parameter"),
        ("/abort_request", Value::Null, "rid", "missing_parameter"),
        ("/abort_request", json!({"rid": ""}), "rid", "missing_parameter"),
        (
            "/reset_prefix_cache?reset_external=true",
            Value::Null,
            "reset_external",
            "invalid_value",
        ),
        ("/reset_prefix_cache?all=true", Value::Null, "all", "unknown_parameter"),
        ("/flush_cache?timeout=-1", Value::Null, "timeout", "invalid_value"),
        ("/flush_cache?timeout=nan", Value::Null, "timeout", "invalid_value"),
        ("/flush_cache?timeout=soon", Value::Null, "timeout", "invalid_value"),
        (
            TEXT,
            completion(json!({"request_id": ""})),
            "request_id",
            "invalid_value",
        ),
    ] {
        let answer = control(&server, route, &body);
        assert_eq!((answer.status, answer.error()), (400, (param, code)), "{route} {body}");
    }
}
