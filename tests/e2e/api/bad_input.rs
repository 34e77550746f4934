//! Every refusal is an OpenAI error object that names the field, and the server goes on.

use serde_json::{Value, json};

use super::harness::{Server, chat, completion};

pub(super) const CHAT: &str = "/v1/chat/completions";
const TEXT: &str = "/v1/completions";

/// Route, fields over a good request, status, `error.param`, `error.code`.
fn field_cases() -> Vec<(&'static str, Value, u16, &'static str, &'static str)> {
    let long: String = "x".repeat(600);
    let many: Vec<String> = (0..17).map(|i| i.to_string()).collect();
    let crowded: Value = (0..17)
        .map(|i| (i.to_string(), json!("x")))
        .collect::<serde_json::Map<_, _>>()
        .into();
    vec![
        (CHAT, json!({"model": "gpt-nine"}), 404, "model", "model_not_found"),
        (TEXT, json!({"model": ""}), 404, "model", "model_not_found"),
        (CHAT, json!({"model": 3}), 400, "model", "invalid_type"),
        (CHAT, json!({"model": null}), 400, "model", "invalid_type"),
        (CHAT, json!({"messages": []}), 400, "messages", "invalid_value"),
        (CHAT, json!({"messages": "hi"}), 400, "messages", "invalid_type"),
        (
            CHAT,
            json!({"messages": [{"role": "king", "content": "x"}]}),
            400,
            "messages[0].role",
            "invalid_value",
        ),
        (
            CHAT,
            json!({"messages": [{"role": "function", "content": "x"}]}),
            400,
            "messages[0].role",
            "invalid_value",
        ),
        (
            CHAT,
            json!({"messages": [{"role": "user"}]}),
            400,
            "messages[0].content",
            "missing_parameter",
        ),
        (
            CHAT,
            json!({"messages": [{"content": "x"}]}),
            400,
            "messages[0].role",
            "missing_parameter",
        ),
        (
            CHAT,
            json!({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]}),
            400,
            "messages[0].content",
            "invalid_type",
        ),
        (
            CHAT,
            json!({"messages": [{"role": "assistant", "content": "x", "tool_calls": [{}]}]}),
            400,
            "messages[0].tool_calls[0].id",
            "missing_parameter",
        ),
        (
            CHAT,
            json!({"messages": [{"role": "user", "content": long}]}),
            400,
            "messages",
            "context_length_exceeded",
        ),
        (TEXT, json!({"prompt": long}), 400, "prompt", "context_length_exceeded"),
        // Too long whatever the tokens are: refused before they are counted.
        (
            TEXT,
            json!({"prompt": "ab ".repeat(1_000_000)}),
            400,
            "prompt",
            "context_length_exceeded",
        ),
        (
            CHAT,
            json!({"messages": [{"role": "user", "content": "ab ".repeat(1_000_000)}]}),
            400,
            "messages",
            "context_length_exceeded",
        ),
        // Arrays are no objects, even if their elements are the fields in order.
        (
            CHAT,
            json!({"messages": [["user", "hi"]]}),
            400,
            "messages[0]",
            "invalid_type",
        ),
        (
            CHAT,
            json!({"messages": [{"role": "user", "content": [["text", "hi"]]}]}),
            400,
            "messages[0].content[0]",
            "invalid_type",
        ),
        (
            CHAT,
            json!({"stream": true, "stream_options": [true]}),
            400,
            "stream_options",
            "invalid_type",
        ),
        (
            TEXT,
            json!({"stream": true, "stream_options": []}),
            400,
            "stream_options",
            "invalid_type",
        ),
        (
            CHAT,
            json!({"response_format": ["text"]}),
            400,
            "response_format",
            "invalid_type",
        ),
        (
            CHAT,
            json!({"response_format": {"type": "text", "x": 1}}),
            400,
            "response_format.x",
            "unknown_parameter",
        ),
        (
            TEXT,
            json!({"repetition_penalty": 1.2e-38}),
            400,
            "repetition_penalty",
            "invalid_value",
        ),
        (
            TEXT,
            json!({"max_tokens": 600}),
            400,
            "prompt",
            "context_length_exceeded",
        ),
        (
            CHAT,
            json!({"max_tokens": 600}),
            400,
            "messages",
            "context_length_exceeded",
        ),
        (CHAT, json!({"max_tokens": 0}), 400, "max_tokens", "invalid_value"),
        (
            CHAT,
            json!({"max_completion_tokens": 0}),
            400,
            "max_completion_tokens",
            "invalid_value",
        ),
        (
            CHAT,
            json!({"max_tokens": 1, "max_completion_tokens": 1}),
            400,
            "max_completion_tokens",
            "invalid_value",
        ),
        (TEXT, json!({"max_tokens": -1}), 400, "max_tokens", "invalid_type"),
        (TEXT, json!({"max_tokens": "9"}), 400, "max_tokens", "invalid_type"),
        (TEXT, json!({"max_tokens": 0}), 400, "max_tokens", "invalid_value"),
        (
            TEXT,
            json!({"max_tokens": 4_294_967_296u64}),
            400,
            "max_tokens",
            "invalid_type",
        ),
        (TEXT, json!({"min_tokens": 17}), 400, "min_tokens", "invalid_value"),
        (CHAT, json!({"n": 0}), 400, "n", "invalid_value"),
        (CHAT, json!({"n": 129}), 400, "n", "invalid_value"),
        (CHAT, json!({"n": -1}), 400, "n", "invalid_type"),
        (CHAT, json!({"n": 1.5}), 400, "n", "invalid_type"),
        (CHAT, json!({"temperature": -0.1}), 400, "temperature", "invalid_value"),
        (CHAT, json!({"temperature": 2.1}), 400, "temperature", "invalid_value"),
        (CHAT, json!({"temperature": "hot"}), 400, "temperature", "invalid_type"),
        (CHAT, json!({"top_p": 0}), 400, "top_p", "invalid_value"),
        (CHAT, json!({"top_p": 1.1}), 400, "top_p", "invalid_value"),
        (CHAT, json!({"top_k": -2}), 400, "top_k", "invalid_value"),
        (CHAT, json!({"min_p": 1.5}), 400, "min_p", "invalid_value"),
        (
            CHAT,
            json!({"presence_penalty": 3}),
            400,
            "presence_penalty",
            "invalid_value",
        ),
        (
            CHAT,
            json!({"frequency_penalty": -3}),
            400,
            "frequency_penalty",
            "invalid_value",
        ),
        (
            CHAT,
            json!({"repetition_penalty": 0}),
            400,
            "repetition_penalty",
            "invalid_value",
        ),
        (CHAT, json!({"seed": "x"}), 400, "seed", "invalid_type"),
        (CHAT, json!({"seed": 0.5}), 400, "seed", "invalid_type"),
        (CHAT, json!({"stop": ""}), 400, "stop", "invalid_value"),
        (CHAT, json!({"stop": many}), 400, "stop", "invalid_value"),
        (CHAT, json!({"stop": {"a": 1}}), 400, "stop", "invalid_type"),
        (
            CHAT,
            json!({"stop_token_ids": [259]}),
            400,
            "stop_token_ids",
            "invalid_value",
        ),
        (
            CHAT,
            json!({"logit_bias": {"x": 1}}),
            400,
            "logit_bias.x",
            "invalid_value",
        ),
        (
            CHAT,
            json!({"logit_bias": {"259": 1}}),
            400,
            "logit_bias.259",
            "invalid_value",
        ),
        (
            CHAT,
            json!({"logit_bias": {"1": 101}}),
            400,
            "logit_bias.1",
            "invalid_value",
        ),
        (CHAT, json!({"logprobs": 3}), 400, "logprobs", "invalid_type"),
        (CHAT, json!({"top_logprobs": 3}), 400, "top_logprobs", "invalid_value"),
        (
            CHAT,
            json!({"logprobs": true, "top_logprobs": 21}),
            400,
            "top_logprobs",
            "invalid_value",
        ),
        (TEXT, json!({"logprobs": 21}), 400, "logprobs", "invalid_value"),
        (TEXT, json!({"logprobs": true}), 400, "logprobs", "invalid_type"),
        (
            TEXT,
            json!({"prompt_logprobs": 21}),
            400,
            "prompt_logprobs",
            "invalid_value",
        ),
        (TEXT, json!({"prompt": []}), 400, "prompt", "invalid_type"),
        (TEXT, json!({"prompt": ""}), 400, "prompt", "invalid_value"),
        (TEXT, json!({"prompt": [[]]}), 400, "prompt", "invalid_value"),
        (TEXT, json!({"prompt": [259]}), 400, "prompt", "invalid_value"),
        (TEXT, json!({"prompt": [1, "a"]}), 400, "prompt", "invalid_type"),
        (TEXT, json!({"prompt": vec!["a"; 257]}), 400, "prompt", "invalid_value"),
        (TEXT, json!({"best_of": 2}), 400, "best_of", "invalid_value"),
        (TEXT, json!({"suffix": "end"}), 400, "suffix", "unsupported_parameter"),
        (CHAT, json!({"audio": {}}), 400, "audio", "unsupported_parameter"),
        (CHAT, json!({"temprature": 1}), 400, "temprature", "unknown_parameter"),
        (CHAT, json!({"stream": "yes"}), 400, "stream", "invalid_type"),
        (
            CHAT,
            json!({"stream_options": {"include_usage": true}}),
            400,
            "stream_options",
            "invalid_value",
        ),
        (
            CHAT,
            json!({"stream": true, "stream_options": {"chatty": true}}),
            400,
            "stream_options.chatty",
            "unknown_parameter",
        ),
        (CHAT, json!({"cache_salt": ""}), 400, "cache_salt", "invalid_value"),
        (
            CHAT,
            json!({"metadata": {"group": 1}}),
            400,
            "metadata.group",
            "invalid_type",
        ),
        (
            CHAT,
            json!({"metadata": {"group": ""}}),
            400,
            "metadata.group",
            "invalid_value",
        ),
        (
            CHAT,
            json!({"metadata": {"group": "g", "group_size": "x"}}),
            400,
            "metadata.group_size",
            "invalid_value",
        ),
        (
            CHAT,
            json!({"n": 2, "metadata": {"group": "g", "group_size": "1"}}),
            400,
            "metadata.group_size",
            "invalid_value",
        ),
        (
            CHAT,
            json!({"metadata": {"group_size": "8"}}),
            400,
            "metadata.group_size",
            "invalid_value",
        ),
        (
            CHAT,
            json!({"metadata": {"reference": "1", "answer": "2"}}),
            400,
            "metadata.answer",
            "invalid_value",
        ),
        (
            TEXT,
            json!({"prompt": ["a", "b"], "metadata": {"group": "g"}}),
            400,
            "metadata.group",
            "invalid_value",
        ),
        (
            CHAT,
            json!({"metadata": {"grader": "{\"type\": \"regex\", \"name\": \"g\", \"pattern\": \"(\"}"}}),
            400,
            "metadata.grader",
            "invalid_value",
        ),
        (
            CHAT,
            json!({"metadata": {"grader": "regex"}}),
            400,
            "metadata.grader",
            "invalid_value",
        ),
        (CHAT, json!({"metadata": crowded}), 400, "metadata", "invalid_value"),
        (
            CHAT,
            json!({"metadata": {"note": long}}),
            400,
            "metadata.note",
            "invalid_value",
        ),
        (CHAT, json!({"store": "no"}), 400, "store", "invalid_type"),
    ]
}

#[test]
fn bad_fields_are_refused_by_name() {
    let server = Server::start();
    for (route, extra, status, param, code) in field_cases() {
        let shown = extra.to_string();
        let body = if route == CHAT { chat(extra) } else { completion(extra) };
        let answer = server.post(route, &body);
        assert_eq!(
            (answer.status, answer.error()),
            (status, (param, code)),
            "{route} {shown}: {:?}",
            answer.body
        );
        let error = answer.body["error"].as_object().unwrap();
        assert_eq!(error["type"], "invalid_request_error", "{shown}");
        let message = error["message"].as_str().unwrap();
        assert!(message.len() > 10, "{shown}: {message}");
        assert!(answer.header("x-svs-weight-version").is_some(), "{shown}");
    }
    // What is repeated of a request has a bound.
    for extra in [json!({"model": "m".repeat(5000)}), json!({"temperature": 1e308})] {
        let error = server.post(CHAT, &chat(extra)).body["error"]["message"].to_string();
        assert!(error.len() < 200, "{error}");
    }
    let good = server.post(CHAT, &chat(json!({"max_tokens": 2})));
    assert_eq!(good.status, 200, "the server goes on: {:?}", good.body);
    assert_eq!(server.stack.engine.stats().running, 0);
}

#[test]
fn logprobs_of_prompts_are_bounded_over_all_choices() {
    let server = Server::with(|config| config.server.max_prompt_logprobs = 100);
    for (field, asked) in [
        ("prompt_logprobs", json!({"prompt_logprobs": 1})),
        ("logprobs", json!({"echo": true, "logprobs": 1})),
    ] {
        for (n, status) in [(5, 200), (6, 400)] {
            let mut body = completion(json!({"prompt": [5, 6, 7, 8, 9, 5, 6, 7, 8, 9], "max_tokens": 1, "n": n}));
            body.as_object_mut().unwrap().extend(asked.as_object().unwrap().clone());
            let answer = server.post("/v1/completions", &body);
            assert_eq!(answer.status, status, "{body}: {:?}", answer.body);
            if status == 400 {
                assert_eq!(answer.error(), (field, "invalid_value"));
            }
        }
    }
}
