//! Characters and stop strings that are split over tokens: the tokenizer of the tiny model has one token per byte.

use serde_json::{Value, json};

use super::harness::{Server, chat, completion};

const CHAT: &str = "/v1/chat/completions";
const TEXT: &str = "/v1/completions";

/// A text that the model must say, with `extra` laid over the request.
fn saying(text: &str, extra: Value) -> Value {
    let mut fields = json!({"guided_choice": [text], "max_tokens": 64, "seed": 1});
    for (key, value) in extra.as_object().unwrap() {
        fields[key] = value.clone();
    }
    fields
}

#[test]
fn characters_are_sent_whole() {
    let server = Server::start();
    let said = "é🦀 日本e\u{301}👩‍👩‍👧 ok";
    let chunks = server.stream(CHAT, &chat(saying(said, json!({"stream": true, "max_tokens": 64}))));
    let parts: Vec<&str> = chunks
        .iter()
        .filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str())
        .collect();
    assert!(parts.iter().all(|part| !part.contains('\u{fffd}')), "{parts:?}");
    assert_eq!(parts.concat(), said);
    let whole = server.post(CHAT, &chat(saying(said, json!({})))).body;
    assert_eq!(whole["choices"][0]["message"]["content"], said);
    // Cut within a character, what there is of it shows as one replacement.
    let cut = server
        .post(TEXT, &completion(saying("a🦀", json!({"max_tokens": 3}))))
        .body;
    assert_eq!(cut["choices"][0]["text"], "a\u{fffd}");
}

#[test]
fn stop_strings_are_found_across_tokens() {
    let server = Server::start();
    let table = [
        ("one two three", json!("two"), "one ", "two"),
        ("ab🦀cd", json!("b🦀c"), "a", "b🦀c"),
        ("x🦀🦀y", json!(["🦀y", "zz"]), "x🦀", "🦀y"),
        ("日本日本語", json!(["日本語", "語"]), "日本", "日本語"),
        ("almost st stop.", json!("stop"), "almost st ", "stop"),
    ];
    for (said, stop, shown, matched) in table {
        let fields = saying(said, json!({"stop": stop}));
        let choice = server.post(TEXT, &completion(fields.clone())).body["choices"][0].clone();
        assert_eq!(
            (&choice["text"], &choice["stop_reason"]),
            (&json!(shown), &json!(matched)),
            "{said}"
        );
        let mut streamed = fields;
        streamed["stream"] = json!(true);
        let events = server.stream(TEXT, &completion(streamed));
        let text: String = events
            .iter()
            .filter_map(|event| event["choices"][0]["text"].as_str())
            .collect();
        assert_eq!(text, shown, "{said}, streamed");
    }
}

#[test]
fn text_offsets_count_characters() {
    let server = Server::start();
    let (prompt, said) = ("ü🦀", "aé日b");
    let expected = [0, 0, 1, 1, 1, 1, 2, 3, 3, 4, 4, 4, 5];
    let fields = saying(said, json!({"prompt": prompt, "echo": true, "logprobs": 0}));
    let whole = server.post(TEXT, &completion(fields.clone())).body["choices"][0].clone();
    assert_eq!(whole["text"], format!("{prompt}{said}"));
    let offsets: Vec<u64> = whole["logprobs"]["text_offset"]
        .as_array()
        .unwrap()
        .iter()
        .map(|at| at.as_u64().unwrap())
        .collect();
    // The last token is the end of sequence, which has no text.
    assert_eq!(offsets[..13], expected);
    assert_eq!(offsets[13..], [6]);
    let mut streamed = fields;
    streamed["stream"] = json!(true);
    let events = server.stream(TEXT, &completion(streamed));
    let lists = events
        .iter()
        .filter_map(|event| event["choices"][0]["logprobs"]["text_offset"].as_array());
    let joined: Vec<u64> = lists.flatten().map(|at| at.as_u64().unwrap()).collect();
    assert_eq!(joined, offsets, "streamed");
}
