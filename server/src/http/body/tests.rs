use axum::body::Body;
use serde_json::json;
use svs_openapi::{ChatCompletionRequest, CompletionRequest};

use super::*;

/// Body, then param and code of the refusal; an empty code is an accepted body.
#[test]
fn shapes_are_refused_by_field() {
    let chat = |body: Value| decode::<ChatCompletionRequest>(body, &["functions", "audio"]).map(drop);
    let text = |body: Value| decode::<CompletionRequest>(body, &["suffix"]).map(drop);
    let message = json!([{"role": "user", "content": "hi"}]);
    let with = |key: &str, value: Value| {
        let mut body = json!({"model": "m", "messages": message});
        body[key] = value;
        body
    };
    let cases: Vec<(Result<(), ApiError>, &str, &str)> = vec![
        (chat(with("temperature", json!(0.5))), "", ""),
        (chat(with("temperature", Value::Null)), "", ""),
        (chat(with("functions", json!([]))), "", ""),
        (chat(with("seed", json!(-3))), "", ""),
        (chat(with("seed", json!(u64::MAX))), "", ""),
        (chat(with("seed", json!(1.5))), "seed", "invalid_type"),
        (chat(Value::Null), "", "missing_body"),
        (chat(json!([])), "", "invalid_type"),
        (chat(json!({"messages": message})), "model", "missing_parameter"),
        (chat(json!({"model": "m"})), "messages", "missing_parameter"),
        (
            chat(with("messages", json!([{"content": "x"}]))),
            "messages[0].role",
            "missing_parameter",
        ),
        (
            chat(with("messages", json!([{"role": 1, "content": "x"}]))),
            "messages[0].role",
            "invalid_type",
        ),
        (
            chat(with("messages", json!([{"role": "user", "content": 1}]))),
            "messages[0].content",
            "invalid_type",
        ),
        (
            chat(with(
                "messages",
                json!([{"role": "user", "content": [{"type": "image_url"}]}]),
            )),
            "messages[0].content",
            "invalid_type",
        ),
        (
            chat(with("messages", json!([{"role": "user", "content": "x", "mood": "y"}]))),
            "messages[0].mood",
            "unknown_parameter",
        ),
        (chat(with("temperature", json!("hot"))), "temperature", "invalid_type"),
        (chat(with("n", json!(-1))), "n", "invalid_type"),
        (chat(with("n", json!(1.5))), "n", "invalid_type"),
        (chat(with("stop", json!([1]))), "stop", "invalid_type"),
        (
            chat(with("logit_bias", json!({"1": "x"}))),
            "logit_bias.1",
            "invalid_type",
        ),
        (
            chat(with("metadata", json!({"group": 1}))),
            "metadata.group",
            "invalid_type",
        ),
        (
            chat(with("stream_options", json!({"x": 1}))),
            "stream_options.x",
            "unknown_parameter",
        ),
        (chat(with("temprature", json!(1))), "temprature", "unknown_parameter"),
        (
            chat(with("functions", json!([{}]))),
            "functions",
            "unsupported_parameter",
        ),
        (text(json!({"model": "m", "prompt": ["a", "b"]})), "", ""),
        (text(json!({"model": "m", "prompt": [[1, 2], [3]]})), "", ""),
        (text(json!({"model": "m", "prompt": []})), "prompt", "invalid_type"),
        (
            text(json!({"model": "m", "prompt": [1, "a"]})),
            "prompt",
            "invalid_type",
        ),
        (text(json!({"model": "m", "prompt": [-1]})), "prompt", "invalid_type"),
        (
            text(json!({"model": "m", "prompt": {"a": 1}})),
            "prompt",
            "invalid_type",
        ),
        (
            text(json!({"model": "m", "prompt": "a", "suffix": "b"})),
            "suffix",
            "unsupported_parameter",
        ),
    ];
    for (index, (outcome, param, code)) in cases.into_iter().enumerate() {
        let found = outcome.err().map(|error| (error.param.unwrap_or_default(), error.code));
        let wanted = (!code.is_empty()).then(|| (param.to_string(), code));
        assert_eq!(found, wanted, "case {index}");
    }
}

#[tokio::test]
async fn bodies_are_bounded_typed_and_parsed() {
    let config = HttpConfig {
        max_body_bytes: 32,
        body_timeout_seconds: 1,
        ..HttpConfig::default()
    };
    let long = "x".repeat(33);
    for (kind, body, status) in [
        ("application/json", "{}", 200),
        ("application/json; charset=utf-8", "{}", 200),
        ("text/plain", "{}", 415),
        ("text/plain", "", 200),
        ("application/json", "{", 400),
        ("application/json", long.as_str(), 413),
    ] {
        let declared = Request::builder()
            .header("content-type", kind)
            .header("content-length", body.len());
        let streamed = Request::builder().header("content-type", kind);
        for request in [declared, streamed] {
            let request = request.body(Body::from(body.to_string())).unwrap();
            let found = read_json(&config, request)
                .await
                .map_or_else(|error| error.status.as_u16(), |_| 200);
            assert_eq!(found, status, "{kind} {body}");
        }
    }
    let (_open, receiver) = tokio::sync::mpsc::channel::<Result<Vec<u8>, std::io::Error>>(1);
    let never = Body::from_stream(tokio_stream::wrappers::ReceiverStream::new(receiver));
    let error = read_json(&config, Request::new(never)).await.unwrap_err();
    assert_eq!((error.status.as_u16(), error.code), (408, "body_timeout"));
}
