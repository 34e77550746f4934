//! Fields that ask for nothing change nothing; with any other value they are refused by name.

use serde_json::{Value, json};

use super::bad_input::CHAT;
use super::harness::{Server, chat, completion};
use super::responses::{PATH as RESPONSES, body as response};

const TEXT: &str = "/v1/completions";

fn asked(route: &str, extra: Value) -> Value {
    match route {
        CHAT => chat(extra),
        TEXT => completion(extra),
        _ => response(extra),
    }
}

#[test]
fn what_asks_for_nothing_changes_nothing() {
    let server = Server::start();
    let text = |answer: &Value| match answer.get("output") {
        Some(output) => output[0]["content"][0]["text"].clone(),
        None if answer["choices"][0]["text"].is_null() => answer["choices"][0]["message"]["content"].clone(),
        None => answer["choices"][0]["text"].clone(),
    };
    for route in [CHAT, TEXT, RESPONSES] {
        let ask = |mut extra: Value| {
            extra["seed"] = json!(3);
            let answer = server.post(route, &asked(route, extra));
            assert_eq!(answer.status, 200, "{route}: {}", answer.body);
            answer.body
        };
        let plain = text(&ask(json!({})));
        assert!(plain.is_string(), "{route}");
        for extra in [
            json!({"service_tier": "auto"}),
            json!({"service_tier": "default", "chat_template_kwargs": {}, "truncate_prompt_tokens": null}),
            json!({"add_generation_prompt": true, "skip_special_tokens": true, "spaces_between_special_tokens": true}),
            json!({"bad_words": [], "allowed_token_ids": [], "use_beam_search": false, "best_of": null}),
            json!({"allowed_token_ids": null, "chat_template_kwargs": null, "service_tier": null}),
        ] {
            // Of completions, `best_of` is a field of its own; responses have none.
            let mut extra = extra;
            if route != CHAT {
                extra.as_object_mut().unwrap().remove("best_of");
            }
            let answer = ask(extra.clone());
            assert_eq!(text(&answer), plain, "{route} {extra}");
            assert_eq!(answer.get("service_tier"), None, "{route}");
        }
        let hints = json!({"prompt_cache_key": "tenant-1", "safety_identifier": "x".repeat(64), "user": "u"});
        assert_eq!(text(&ask(hints)), plain, "{route}");
    }
    let own = json!({"best_of": 1, "echo": false, "messages": [
        {"role": "user", "content": "Hi", "name": null},
        {"role": "assistant", "content": "Hi", "refusal": null, "reasoning_content": null, "reasoning": null},
        {"role": "user", "content": "Hi"},
    ]});
    for (route, body) in [
        (CHAT, chat(own.clone())),
        ("/tokenize", json!({"messages": own["messages"]})),
    ] {
        let answer = server.post(route, &body);
        assert_eq!(answer.status, 200, "{route}: {}", answer.body);
    }
    let stored = server.post(
        RESPONSES,
        &asked(RESPONSES, json!({"safety_identifier": "s", "prompt_cache_key": "k"})),
    );
    assert_eq!(
        (&stored.body["safety_identifier"], &stored.body["prompt_cache_key"]),
        (&json!("s"), &json!("k"))
    );
}

#[test]
fn what_asks_for_something_is_refused_by_name() {
    let server = Server::start();
    for (extra, param, code, allowed) in [
        (
            json!({"service_tier": "flex"}),
            "service_tier",
            "invalid_value",
            "\"auto\" and \"default\"",
        ),
        (
            json!({"add_generation_prompt": false}),
            "add_generation_prompt",
            "invalid_value",
            "true",
        ),
        (
            json!({"skip_special_tokens": false}),
            "skip_special_tokens",
            "invalid_value",
            "true",
        ),
        (json!({"bad_words": ["no"]}), "bad_words", "invalid_value", "[]"),
        (
            json!({"allowed_token_ids": [1]}),
            "allowed_token_ids",
            "invalid_value",
            "[]",
        ),
        (
            json!({"chat_template_kwargs": {"enable_thinking": false}}),
            "chat_template_kwargs",
            "invalid_value",
            "{}",
        ),
        (
            json!({"truncate_prompt_tokens": 4}),
            "truncate_prompt_tokens",
            "invalid_value",
            "null",
        ),
        (
            json!({"use_beam_search": true}),
            "use_beam_search",
            "invalid_value",
            "false",
        ),
        (
            json!({"safety_identifier": 3}),
            "safety_identifier",
            "invalid_type",
            "string",
        ),
        (
            json!({"prompt_cache_key": []}),
            "prompt_cache_key",
            "invalid_type",
            "string",
        ),
    ] {
        for route in [CHAT, TEXT, RESPONSES] {
            let answer = server.post(route, &asked(route, extra.clone()));
            assert_eq!(
                (answer.status, answer.error()),
                (400, (param, code)),
                "{route} {extra}: {}",
                answer.body
            );
            let message = answer.body["error"]["message"].as_str().unwrap();
            assert!(message.contains(allowed), "{route} {extra}: {message}");
        }
    }
    let said = |field: &str, value: Value| {
        let mut message = json!({"role": "user", "content": "Hi"});
        message[field] = value;
        json!({"messages": [{"role": "system", "content": "Be brief."}, message]})
    };
    for (extra, param, code) in [
        (json!({"best_of": 2}), "best_of", "invalid_value"),
        (json!({"echo": true}), "echo", "invalid_value"),
        (said("name", json!("Ann")), "messages[1].name", "unsupported_parameter"),
        (
            said("refusal", json!("no")),
            "messages[1].refusal",
            "unsupported_parameter",
        ),
        (
            said("reasoning_content", json!("so")),
            "messages[1].reasoning_content",
            "unsupported_parameter",
        ),
    ] {
        let answer = server.post(CHAT, &chat(extra.clone()));
        assert_eq!(
            (answer.status, answer.error()),
            (400, (param, code)),
            "{extra}: {}",
            answer.body
        );
    }
}
