//! Streams say what whole answers say, end cleanly, and stop when nobody listens.

use std::collections::BTreeMap;
use std::io::Read;

use serde_json::{Value, json};

use super::harness::{Server, chat, completion};

const CHAT: &str = "/v1/chat/completions";
const TEXT: &str = "/v1/completions";

/// What a stream says of one choice, put together.
#[derive(Debug, Default, PartialEq)]
struct Told {
    text: String,
    token_ids: Vec<Value>,
    logprobs: Vec<Value>,
    finish_reason: Value,
    weight_versions: Value,
}

fn put_together(events: &[Value]) -> BTreeMap<u64, Told> {
    let mut told: BTreeMap<u64, Told> = BTreeMap::new();
    for choice in events.iter().flat_map(|event| event["choices"].as_array().unwrap()) {
        let entry = told.entry(choice["index"].as_u64().unwrap()).or_default();
        let text = choice["delta"]["content"].as_str().or(choice["text"].as_str());
        entry.text.push_str(text.unwrap_or(""));
        entry
            .token_ids
            .extend(choice["token_ids"].as_array().into_iter().flatten().cloned());
        let logprobs = &choice["logprobs"];
        let list = logprobs["content"].as_array().or(logprobs["token_logprobs"].as_array());
        entry.logprobs.extend(list.into_iter().flatten().cloned());
        if !choice["finish_reason"].is_null() {
            assert!(entry.finish_reason.is_null(), "one last chunk per choice");
            entry.finish_reason = choice["finish_reason"].clone();
            entry.weight_versions = choice["weight_versions"].clone();
        }
    }
    told
}

fn whole(body: &Value) -> BTreeMap<u64, Told> {
    let choices = body["choices"].as_array().unwrap().iter();
    choices
        .map(|choice| {
            let text = choice["message"]["content"]
                .as_str()
                .or(choice["text"].as_str())
                .unwrap();
            let logprobs = choice["logprobs"]["content"]
                .as_array()
                .or(choice["logprobs"]["token_logprobs"].as_array());
            let told = Told {
                text: text.to_string(),
                token_ids: choice["token_ids"].as_array().unwrap().clone(),
                logprobs: logprobs.unwrap().clone(),
                finish_reason: choice["finish_reason"].clone(),
                weight_versions: choice["weight_versions"].clone(),
            };
            (choice["index"].as_u64().unwrap(), told)
        })
        .collect()
}

#[test]
fn a_stream_equals_the_whole_answer() {
    let server = Server::start();
    let common = json!({"n": 3, "seed": 11, "max_tokens": 40, "stop": ["e", "\u{fffd}a"], "return_token_ids": true,
        "return_weight_versions": true});
    let cases = [
        (CHAT, chat(common.clone()), json!({"logprobs": true, "top_logprobs": 2})),
        (TEXT, completion(common.clone()), json!({"logprobs": 2, "echo": true})),
        (
            TEXT,
            completion(common),
            json!({"logprobs": 1, "prompt": ["one", "two"]}),
        ),
    ];
    for (route, mut body, extra) in cases {
        for (key, value) in extra.as_object().unwrap() {
            body[key] = value.clone();
        }
        let answer = server.post(route, &body);
        assert_eq!(answer.status, 200, "{:?}", answer.body);
        body["stream"] = json!(true);
        body["stream_options"] = json!({"include_usage": true});
        let events = server.stream(route, &body);
        assert_eq!(put_together(&events), whole(&answer.body), "{route}");
        let last = events.last().unwrap();
        assert_eq!((&last["choices"], &last["usage"]), (&json!([]), &answer.body["usage"]));
        assert!(
            events[..events.len() - 1]
                .iter()
                .all(|event| event.get("usage").is_none_or(Value::is_null))
        );
        assert!(events.iter().all(|event| event["id"] == events[0]["id"]));
        if route == CHAT {
            assert_eq!(events[0]["choices"][0]["delta"]["role"], "assistant");
            assert_eq!(events[0]["prompt_token_ids"], answer.body["prompt_token_ids"]);
        }
        let closing = events
            .iter()
            .rev()
            .find(|event| !event["weight_version"].is_null())
            .unwrap();
        assert_eq!(closing["weight_version"], 0);
    }
}

#[test]
fn without_options_a_stream_has_no_usage_and_no_extras() {
    let server = Server::start();
    let events = server.stream(CHAT, &chat(json!({"stream": true, "max_tokens": 4, "seed": 2})));
    for event in &events {
        assert_eq!(event["object"], "chat.completion.chunk");
        assert!(event.get("usage").is_none() && event.get("prompt_token_ids").is_none());
        assert!(event["choices"][0].get("token_ids").is_none());
        assert_eq!(event["choices"].as_array().unwrap().len(), 1);
    }
}

#[test]
fn leaving_frees_the_sequences() {
    let server = Server::slow(|_| {});
    let body = chat(json!({"n": 16, "max_tokens": 400, "ignore_eos": true}));
    for stream in [true, false] {
        server.wait_until_idle();
        let mut body = body.clone();
        body["stream"] = json!(stream);
        let text = body.to_string();
        let address = server.url.strip_prefix("http://").unwrap();
        let before = server.stack.engine.stats().generation_tokens;
        let mut socket = std::net::TcpStream::connect(address).unwrap();
        let head = format!("POST {CHAT} HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\n");
        let request = format!("{head}Content-Length: {}\r\n\r\n{text}", text.len());
        std::io::Write::write_all(&mut socket, request.as_bytes()).unwrap();
        server.wait_until("running sequences", |stats| stats.running > 0);
        if stream {
            let mut some = [0; 64];
            socket.read_exact(&mut some).unwrap();
        }
        drop(socket);
        server.wait_until_idle();
        let sampled = server.stack.engine.stats().generation_tokens - before;
        assert!(
            sampled < 16 * 400,
            "stream {stream}: aborted before the end, yet {sampled} tokens were sampled"
        );
        assert_eq!(server.post(CHAT, &chat(json!({"max_tokens": 1}))).status, 200);
    }
}
