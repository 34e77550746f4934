//! `/pause`, `/resume`, `/is_paused` and `priority`, over HTTP.

use serde_json::{Value, json};

use super::harness::{Server, completion, events};

const TEXT: &str = "/v1/completions";
/// Tokens of a stream that is to be met while it runs.
const MOST: usize = 480;

fn body(seed: u64) -> Value {
    completion(json!({"seed": seed, "max_tokens": MOST, "ignore_eos": true, "stream": true, "return_token_ids": true}))
}

fn tokens(events: &[Value]) -> Vec<Value> {
    let ids = events
        .iter()
        .filter_map(|event| event["choices"][0]["token_ids"].as_array());
    ids.flatten().cloned().collect()
}

fn finish_reason(events: &[Value]) -> &Value {
    let mut reasons = events.iter().map(|event| &event["choices"][0]["finish_reason"]);
    reasons.rfind(|reason| reason.is_string()).unwrap()
}

#[test]
fn a_pause_keeps_waits_or_aborts() {
    let server = Server::slow(|config| config.engine.max_waiting = 2);
    let whole = tokens(&server.stream(TEXT, &body(7)));
    assert_eq!(server.get("/is_paused").body, json!({"is_paused": false}));
    for (query, keeps) in [
        ("?mode=keep", true),
        ("?mode=keep&clear_cache=true", true),
        ("?mode=wait", true),
        ("?mode=abort", false),
        ("", false),
    ] {
        server.wait_until_idle();
        let stream = server.open(TEXT, &body(7));
        server.wait_until("running request", |stats| stats.running == 1);
        let answer = server.post_raw(&format!("/pause{query}"), &[], b"");
        assert_eq!(
            (answer.status, &answer.body),
            (200, &json!({"status": "paused"})),
            "{query}"
        );
        assert_eq!(server.get("/is_paused").body, json!({"is_paused": true}));
        let before = server.stack.engine.stats().generation_tokens;
        // Whose KV was dropped waits too.
        let room = if query.contains("clear_cache") { 1 } else { 2 };
        let queued: Vec<_> = (0..room).map(|_| server.open(TEXT, &body(7))).collect();
        server.wait_until("queued requests", |stats| stats.waiting == 2);
        assert_eq!(server.post(TEXT, &body(7)).error().1, "overloaded", "{query}");
        assert_eq!(server.stack.engine.stats().generation_tokens, before, "{query}: paused");
        for _ in 0..2 {
            let answer = server.post_raw("/resume", &[], b"");
            assert_eq!((answer.status, answer.body), (200, json!({"status": "resumed"})));
        }
        assert_eq!(server.get("/is_paused").body, json!({"is_paused": false}));
        let stream = events(stream);
        let got = tokens(&stream);
        let expected = if keeps { json!("length") } else { json!("abort") };
        assert_eq!(finish_reason(&stream), &expected, "{query}");
        assert_eq!(got.len() == whole.len(), keeps, "{query}: {} tokens", got.len());
        assert_eq!(got[..], whole[..got.len()], "{query}");
        for queued in queued {
            assert_eq!(tokens(&events(queued)), whole, "{query}: queued during the pause");
        }
    }
}

#[test]
fn an_aborted_answer_carries_its_part_and_is_not_logged() {
    let server = Server::slow(|_| {});
    let mut body = body(3);
    body["stream"] = json!(false);
    body["n"] = json!(2);
    body["logprobs"] = json!(1);
    let answer = std::thread::scope(|scope| {
        let waiting = scope.spawn(|| server.post(TEXT, &body));
        server.wait_until("first tokens", |stats| stats.generation_tokens >= 4);
        assert_eq!(server.post_raw("/pause?mode=abort", &[], b"").status, 200);
        waiting.join().unwrap()
    });
    assert_eq!(answer.status, 200, "{:?}", answer.body);
    for choice in answer.body["choices"].as_array().unwrap() {
        assert_eq!(choice["finish_reason"], "abort");
        let count = choice["token_ids"].as_array().unwrap().len();
        assert!((1..MOST).contains(&count), "{count} tokens");
        assert_eq!(choice["logprobs"]["tokens"].as_array().unwrap().len(), count);
    }
    let metrics = server.get("/metrics").body.as_str().unwrap().to_string();
    assert!(metrics.contains("svs_paused{engine=\"0\",model_name=\"tiny-random\"} 1"));
    assert!(metrics.contains("svs_trajectories_logged_total{engine=\"0\",model_name=\"tiny-random\"} 0"));
}

#[test]
fn bad_pauses_are_refused() {
    let server = Server::with(|config| config.server.pause_timeout_seconds = 1);
    for (query, code) in [
        ("mode=hold", "invalid_value"),
        ("mode=keep&clear=1", "unknown_parameter"),
        ("clear_cache=maybe", "invalid_value"),
    ] {
        let answer = server.post_raw(&format!("/pause?{query}"), &[], b"");
        assert_eq!((answer.status, answer.error().1), (400, code), "{query}");
        let named = query.split(['=', '&']).any(|word| word == answer.error().0);
        assert!(named, "{:?} names the parameter", answer.body);
    }
    assert_eq!(
        server.post_raw("/resume?now=1", &[], b"").error(),
        ("now", "unknown_parameter")
    );
    // What belongs into the query is not lost in a body: `abort`, the default, would end requests that were to be kept.
    for path in ["/pause", "/resume", "/sleep", "/wake_up", "/reset_prefix_cache"] {
        let answer = server.post(path, &json!({"mode": "keep"}));
        assert_eq!(
            (answer.status, answer.error()),
            (400, ("mode", "unknown_parameter")),
            "{path}"
        );
        let message = answer.body["error"]["message"].as_str().unwrap();
        assert!(message.contains("in the body"), "{message}");
    }
    assert_eq!(server.get("/pause").status, 405);
    assert_eq!(server.get("/is_paused").body, json!({"is_paused": false}));
}

#[test]
fn a_pause_that_waits_is_bounded_and_can_be_ended() {
    let server = Server::slow(|config| {
        config.server.pause_timeout_seconds = 1;
        config.engine.max_num_seqs = 1;
    });
    // A hundred choices in one place: far more than a second of work.
    let mut long = body(1);
    long["n"] = json!(100);
    let stream = server.open(TEXT, &long);
    server.wait_until("running request", |stats| stats.generation_tokens > 0);
    let answer = server.post_raw("/pause?mode=wait", &[], b"");
    assert_eq!((answer.status, answer.error().1), (503, "pause_timeout"));
    assert_eq!(
        server.get("/is_paused").body,
        json!({"is_paused": true}),
        "the pause stands"
    );
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| server.post_raw("/pause?mode=wait", &[], b""));
        std::thread::sleep(std::time::Duration::from_millis(100));
        assert_eq!(server.post_raw("/resume", &[], b"").status, 200);
        assert_eq!(waiting.join().unwrap().error().1, "resumed");
    });
    drop(stream);
    server.wait_until_idle();
}

#[test]
fn priority_decides_who_is_served_first() {
    let server = Server::slow(|config| config.engine.max_num_seqs = 1);
    let ask = |priority: i64| completion(json!({"max_tokens": 2, "ignore_eos": true, "priority": priority}));
    for (priority, field) in [
        (json!("high"), "priority"),
        (json!(1.5), "priority"),
        (json!(1u64 << 40), "priority"),
    ] {
        let mut body = ask(0);
        body["priority"] = priority;
        let answer = server.post(TEXT, &body);
        assert_eq!((answer.status, answer.error().0), (400, field), "{:?}", answer.body);
    }
    for (priority, gives_way) in [(10, false), (0, true)] {
        server.wait_until_idle();
        let mut long = body(1);
        long["priority"] = json!(10);
        let stream = server.open(TEXT, &long);
        server.wait_until("running request", |stats| stats.running == 1);
        let before = server.stack.engine.stats().preemptions;
        assert_eq!(server.post(TEXT, &ask(priority)).status, 200);
        assert_eq!(tokens(&events(stream)).len(), MOST, "the long one finishes");
        let preemptions = server.stack.engine.stats().preemptions - before;
        assert_eq!(
            preemptions > 0,
            gives_way,
            "{priority} arrives: {preemptions} preemptions"
        );
    }
}
