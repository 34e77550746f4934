//! `/tokenize`, `/detokenize`, `/tokenizer_info` in the shapes of vLLM and SGLang.

use serde_json::{Value, json};

use super::harness::{CONTEXT, Server};

/// Body, tokens, texts.
fn cases() -> Vec<(Value, Value, Value)> {
    let chat = json!([{"role": "user", "content": "Hi"}]);
    let bytes = |text: &str| text.bytes().map(u32::from).collect::<Vec<_>>();
    let turn = |role: &str, text: &str, closed: bool| {
        let mut tokens = [vec![257], bytes(&format!("{role}\n{text}"))].concat();
        if closed {
            tokens.extend([vec![258], bytes("\n")].concat());
        }
        tokens
    };
    let opened = [turn("user", "Hi", true), turn("assistant", "", false)].concat();
    let closed = turn("user", "Hi", true);
    vec![
        (json!({"prompt": "Hey"}), json!([72, 101, 121]), json!(["H", "e", "y"])),
        (json!({"model": "tiny-random", "prompt": ""}), json!([]), json!([])),
        (
            json!({"prompt": "a<|im_end|>", "add_special_tokens": false}),
            json!([97, 258]),
            json!(["a", "<|im_end|>"]),
        ),
        (
            json!({"prompt": ["a", "bc"]}),
            json!([[97], [98, 99]]),
            json!([["a"], ["b", "c"]]),
        ),
        (json!({"messages": chat}), json!(opened), Value::Null),
        (
            json!({"messages": chat, "add_generation_prompt": false}),
            json!(closed),
            Value::Null,
        ),
    ]
}

#[test]
fn texts_and_chats_become_tokens_and_come_back() {
    let server = Server::start();
    for (body, tokens, texts) in cases() {
        for route in ["/tokenize", "/v1/tokenize"] {
            let mut asked = body.clone();
            asked["return_token_strs"] = json!(!texts.is_null());
            let answer = server.post(route, &asked).body;
            let lists = tokens.as_array().unwrap();
            let count = match lists.first() {
                Some(Value::Array(_)) => lists.iter().map(|list| list.as_array().unwrap().len()).collect(),
                _ => json!(lists.len()),
            };
            let wanted = json!({"count": count, "max_model_len": CONTEXT, "tokens": tokens, "token_strs": texts});
            assert_eq!(answer, wanted, "{body}");
        }
        if let Some(prompt) = body.get("prompt") {
            for route in ["/detokenize", "/v1/detokenize"] {
                let answer = server.post(route, &json!({"tokens": tokens}));
                assert_eq!(answer.body, json!({"prompt": prompt, "text": prompt}), "{body}");
            }
        }
    }
    let plain = json!({"tokens": [97, 258], "skip_special_tokens": true});
    assert_eq!(server.post("/detokenize", &plain).body["text"], "a");
    let chat = json!([{"role": "user", "content": "Say something."}]);
    let tokens = server.post("/tokenize", &json!({"messages": chat})).body["tokens"].clone();
    let asked = json!({"model": "tiny-random", "messages": chat, "max_tokens": 1, "return_token_ids": true});
    let answer = server.post("/v1/chat/completions", &asked);
    assert_eq!(answer.body["prompt_token_ids"], tokens, "what a chat request is given");
}

#[test]
fn the_tokenizer_tells_its_configuration() {
    let config = Server::start().get("/tokenizer_info").body;
    assert_eq!(config["tokenizer_class"], "PreTrainedTokenizerFast");
    assert_eq!(config["eos_token"], "<|im_end|>");
    assert!(config["chat_template"].as_str().unwrap().contains("<|im_start|>"));
}

#[test]
fn faults_are_named() {
    let server = Server::with(|config| config.server.max_prompts = 2);
    for (route, body, param, code) in [
        ("/tokenize", json!({}), "prompt", "missing_parameter"),
        (
            "/tokenize",
            json!({"prompt": "a", "messages": []}),
            "messages",
            "invalid_value",
        ),
        ("/tokenize", json!({"messages": []}), "messages", "invalid_value"),
        ("/tokenize", json!({"prompt": 3}), "prompt", "invalid_type"),
        (
            "/tokenize",
            json!({"prompt": ["a", "b", "c"]}),
            "prompt",
            "invalid_value",
        ),
        (
            "/tokenize",
            json!({"prompt": "a", "text": "a"}),
            "text",
            "unknown_parameter",
        ),
        (
            "/tokenize",
            json!({"messages": [{"role": "user", "content": "x"}], "continue_final_message": true}),
            "continue_final_message",
            "unsupported_parameter",
        ),
        (
            "/tokenize",
            json!({"prompt": "a", "add_generation_prompt": true}),
            "add_generation_prompt",
            "invalid_value",
        ),
        (
            "/tokenize",
            json!({"prompt": "x".repeat(20_000)}),
            "prompt",
            "context_length_exceeded",
        ),
        ("/detokenize", json!({}), "tokens", "missing_parameter"),
        ("/detokenize", json!({"tokens": "a"}), "tokens", "invalid_type"),
        ("/detokenize", json!({"tokens": ["a"]}), "tokens", "invalid_type"),
        ("/detokenize", json!({"tokens": [-1]}), "tokens", "invalid_type"),
        ("/detokenize", json!({"tokens": [259]}), "tokens", "invalid_value"),
    ] {
        let answer = server.post(route, &body);
        assert_eq!((answer.status, answer.error()), (400, (param, code)), "{route} {body}");
    }
    for route in ["/tokenize", "/detokenize"] {
        let answer = server.post(route, &json!({"model": "other", "prompt": "a", "tokens": [1]}));
        let known = answer.error().1 == "unknown_parameter";
        assert!(known, "{:?}", answer.body);
        let body = if route == "/tokenize" {
            json!({"prompt": "a", "model": "o"})
        } else {
            json!({"tokens": [], "model": "o"})
        };
        assert_eq!(server.post(route, &body).error(), ("model", "model_not_found"));
    }
}
