//! Functions that a chat may call.

use serde_json::{Value, json};

use super::harness::{Server, chat, events, tiny_model};

const CHAT: &str = "/v1/chat/completions";

/// Tools take room in the context.
fn server() -> Server {
    let mut model = tiny_model();
    model.config.max_position_embeddings = 4096;
    Server::with_model(model, |_| {})
}

fn tool(name: &str, parameters: Value) -> Value {
    json!({"type": "function", "function": {"name": name, "description": "D.", "parameters": parameters}})
}

fn tools() -> Value {
    let city = json!({
        "type": "object",
        "properties": {"city": {"$ref": "#/$defs/city"}, "days": {"type": "integer", "minimum": 1, "maximum": 9}},
        "required": ["city", "days"],
        "additionalProperties": false,
        "$defs": {"city": {"enum": ["Rome", "Köln"]}},
    });
    let sum = json!({
        "type": "object",
        "properties": {"terms": {"type": "array", "items": {"type": "integer"}, "minItems": 1, "maxItems": 3}},
        "required": ["terms"],
        "additionalProperties": false,
    });
    json!([tool("weather", city), tool("add-up", sum)])
}

/// Name, and whether the arguments fit.
fn fits(call: &Value) -> (String, bool) {
    let name = call["function"]["name"].as_str().unwrap().to_owned();
    let arguments: Value = serde_json::from_str(call["function"]["arguments"].as_str().unwrap()).unwrap();
    let good = match name.as_str() {
        "weather" => {
            let day = arguments["days"].as_u64().unwrap();
            ["Rome", "Köln"].contains(&arguments["city"].as_str().unwrap()) && (1..=9).contains(&day)
        }
        "add-up" => (1..=3).contains(&arguments["terms"].as_array().unwrap().len()),
        _ => false,
    };
    let id = call["id"].as_str().unwrap();
    (
        name,
        good && call["type"] == "function" && id.starts_with("call_") && id.len() == 29,
    )
}

fn function(name: &str) -> Value {
    json!({"type": "function", "function": {"name": name}})
}

#[test]
fn calls_are_made_as_they_are_asked_for() {
    let server = server();
    // Choice, allowed functions, may make several calls, why the answer ends.
    for (extra, names, several, reason) in [
        (
            json!({"tool_choice": "required"}),
            ["weather", "add-up"],
            true,
            "tool_calls",
        ),
        (
            json!({"tool_choice": "required", "parallel_tool_calls": false}),
            ["weather", "add-up"],
            false,
            "tool_calls",
        ),
        (json!({"tool_choice": function("add-up")}), ["add-up"; 2], false, "stop"),
        (
            json!({"tool_choice": function("weather")}),
            ["weather"; 2],
            false,
            "stop",
        ),
    ] {
        let mut ended = 0;
        for seed in 0..6 {
            let mut body = chat(json!({"tools": tools(), "seed": seed, "max_tokens": 300, "logprobs": true}));
            body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
            let whole = server.post(CHAT, &body);
            assert_eq!(whole.status, 200, "{extra}: {:?}", whole.body);
            let choice = &whole.body["choices"][0];
            let streamed = streamed(&server, &body);
            assert_eq!(streamed.0, choice["message"]["content"].as_str().unwrap_or_default());
            assert_eq!(Value::from(streamed.2), choice["finish_reason"]);
            if choice["finish_reason"] == "length" {
                continue;
            }
            ended += 1;
            let calls = choice["message"]["tool_calls"].as_array().unwrap();
            assert_eq!(
                (&choice["message"]["content"], &choice["finish_reason"]),
                (&Value::Null, &json!(reason))
            );
            assert!(!calls.is_empty() && (several || calls.len() == 1), "{extra}: {calls:?}");
            for (index, call) in calls.iter().enumerate() {
                let (name, good) = fits(call);
                assert!(good && names.contains(&&*name), "{extra}: {call}");
                assert_eq!(
                    call["function"], streamed.1[index]["function"],
                    "the stream says the same"
                );
                assert_eq!(streamed.1[index]["index"], json!(index));
            }
        }
        assert!(ended >= 2, "{extra}: {ended} of 6 answers ended before 300 tokens");
    }
}

/// Text, calls and finish reason of a stream.
fn streamed(server: &Server, body: &Value) -> (String, Vec<Value>, String) {
    let mut body = body.clone();
    body["stream"] = json!(true);
    let (mut text, mut calls, mut reason) = (String::new(), Vec::new(), String::new());
    for event in events(server.open(CHAT, &body)) {
        let choice = &event["choices"][0];
        text.push_str(choice["delta"]["content"].as_str().unwrap_or_default());
        calls.extend(choice["delta"]["tool_calls"].as_array().cloned().unwrap_or_default());
        reason.push_str(choice["finish_reason"].as_str().unwrap_or_default());
    }
    (text, calls, reason)
}

#[test]
fn arguments_are_an_object_whatever_the_schema_leaves_open() {
    let server = server();
    for schema in [
        json!({}),
        json!({"type": ["object", "null"]}),
        json!({"additionalProperties": false}),
    ] {
        for seed in 0..4 {
            let body = chat(json!({
                "tools": [tool("f", schema.clone())], "tool_choice": "required", "seed": seed, "max_tokens": 80, "logprobs": true,
            }));
            let answer = server.post(CHAT, &body).body;
            let tokens = answer["choices"][0]["logprobs"]["content"].as_array().unwrap();
            let text: String = tokens.iter().filter_map(|token| token["token"].as_str()).collect();
            let (_, arguments) = text.split_once("\"arguments\": ").unwrap();
            assert!(arguments.starts_with('{'), "{schema}: {text}");
        }
    }
}

#[test]
fn a_schema_beyond_the_context_is_refused_before_it_is_encoded() {
    let server = server();
    let names: Vec<String> = (0..20_000).map(|at| format!("value-{at}")).collect();
    let huge = tool("f", json!({"type": "object", "properties": {"x": {"enum": names}}}));
    let arguments = json!({"x": names}).to_string();
    let call = json!({"id": "c", "type": "function", "function": {"name": "f", "arguments": arguments}});
    let called =
        json!([{"role": "assistant", "tool_calls": [call]}, {"role": "tool", "tool_call_id": "c", "content": "1"}]);
    for extra in [json!({"tools": [huge]}), json!({"messages": called})] {
        let answer = server.post(CHAT, &chat(extra));
        assert_eq!(answer.error(), ("messages", "context_length_exceeded"));
        let message = answer.body["error"]["message"].as_str().unwrap();
        assert!(message.contains("thus at least"), "{message}");
    }
}

#[test]
fn a_free_answer_is_the_policys_own() {
    let server = server();
    for (extra, held) in [
        (json!({}), false),
        (json!({"tool_choice": "auto", "parallel_tool_calls": true}), false),
        (json!({"parallel_tool_calls": false}), true),
    ] {
        let mut body = chat(json!({"tools": tools(), "seed": 3, "max_tokens": 40, "return_token_ids": true}));
        body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        let answer = server.post(CHAT, &body);
        let prompt = &answer.body["prompt_token_ids"];
        let free = server.post(
            "/v1/completions",
            &json!({"model": "tiny-random", "prompt": prompt, "seed": 3, "max_tokens": 40, "return_token_ids": true}),
        );
        let (choice, free) = (&answer.body["choices"][0], &free.body["choices"][0]);
        assert!(
            held || choice["token_ids"] == free["token_ids"],
            "{extra}: {choice} {free}"
        );
        assert!(held || choice["message"]["content"] == free["text"], "{extra}");
        assert!(choice["message"].get("tool_calls").is_none());
    }
    let hidden = chat(json!({"tools": tools(), "tool_choice": "none", "max_tokens": 1, "return_token_ids": true}));
    let without = chat(json!({"max_tokens": 1, "return_token_ids": true}));
    let prompt = |body: &Value| server.post(CHAT, body).body["prompt_token_ids"].clone();
    assert_eq!(prompt(&hidden), prompt(&without));
}

#[test]
fn a_chat_goes_on_after_its_calls() {
    let server = server();
    let call =
        json!({"id": "c1", "type": "function", "function": {"name": "add-up", "arguments": "{\"terms\": [1, 2]}"}});
    // As OpenAI's client sends an answer back that it has parsed.
    let mut call = call;
    call["function"]["parsed_arguments"] = json!({"terms": [1, 2]});
    let messages = json!([
        {"role": "system", "content": "Be short."},
        {"role": "user", "content": "1+2?"},
        {"role": "assistant", "content": null, "parsed": null, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": "3"},
    ]);
    let body = chat(json!({"messages": messages, "tools": tools(), "max_tokens": 1, "return_token_ids": true}));
    let answer = server.post(CHAT, &body);
    assert_eq!(answer.status, 200, "{:?}", answer.body);
    let tokens = json!({"tokens": answer.body["prompt_token_ids"], "skip_special_tokens": true});
    let text = server.post("/detokenize", &tokens).body["prompt"]
        .as_str()
        .unwrap()
        .to_owned();
    let parts = [
        "system\nBe short.\n\nYou can call functions",
        "<tools>\n{\"type\":\"function\",\"function\":{\"name\":\"weather\"",
        "user\n1+2?",
        "assistant\n<tool_call>\n{\"name\":\"add-up\",\"arguments\":{\"terms\":[1,2]}}\n</tool_call>",
        "user\n<tool_response>\n3\n</tool_response>",
    ];
    let mut rest = text.as_str();
    for part in parts {
        rest = rest
            .split_once(part)
            .unwrap_or_else(|| panic!("{part:?} is not in {text:?}"))
            .1;
    }
}

#[test]
fn bad_tools_are_refused_by_name() {
    let server = server();
    let named = |name: &str| json!({"tools": [tool(name, json!({}))]});
    let call = |kind: &str, arguments: &str| {
        let call = json!({"id": "c", "type": kind, "function": {"name": "f", "arguments": arguments}});
        json!({"messages": [{"role": "assistant", "tool_calls": [call]}]})
    };
    let many: Vec<Value> = (0..129).map(|index| tool(&format!("f{index}"), json!({}))).collect();
    let message = |message: Value| json!({"messages": [message]});
    for (extra, param, code) in [
        (
            json!({"tools": [{"type": "function"}]}),
            "tools[0].function",
            "missing_parameter",
        ),
        (json!({"tools": [["function", {}]]}), "tools[0]", "invalid_type"),
        (
            json!({"tools": [{"type": "custom", "function": {"name": "f"}}]}),
            "tools[0].type",
            "invalid_value",
        ),
        (named("a b"), "tools[0].function.name", "invalid_value"),
        (named(&"x".repeat(65)), "tools[0].function.name", "invalid_value"),
        (
            json!({"tools": [tool("f", json!({})), tool("f", json!({}))]}),
            "tools[1].function.name",
            "invalid_value",
        ),
        (
            json!({"tools": [tool("f", json!([]))]}),
            "tools[0].function.parameters",
            "invalid_value",
        ),
        (
            json!({"tools": [tool("f", json!({"type": "string"}))]}),
            "tools[0].function.parameters",
            "invalid_value",
        ),
        (json!({"tools": many}), "tools", "invalid_value"),
        (json!({"tool_choice": "required"}), "tool_choice", "invalid_value"),
        (
            json!({"tools": tools(), "tool_choice": "always"}),
            "tool_choice",
            "invalid_value",
        ),
        (
            json!({"tools": tools(), "tool_choice": {"type": "allowed_tools"}}),
            "tool_choice",
            "invalid_type",
        ),
        (
            json!({"tools": tools(), "tool_choice": function("fly")}),
            "tool_choice.function.name",
            "invalid_value",
        ),
        (
            json!({"tools": [tool("f", json!({"properties": {"x": {"type": "objekt"}}}))], "tool_choice": "required"}),
            "tool_choice",
            "invalid_value",
        ),
        (
            json!({"tools": tools(), "tool_choice": "required", "response_format": {"type": "json_object"}}),
            "tool_choice",
            "invalid_value",
        ),
        (
            json!({"tools": tools(), "tool_choice": "required", "ignore_eos": true}),
            "ignore_eos",
            "invalid_value",
        ),
        (
            json!({"functions": [{"name": "f"}]}),
            "functions",
            "unsupported_parameter",
        ),
        (call("custom", "{}"), "messages[0].tool_calls[0].type", "invalid_value"),
        (
            call("function", "[]"),
            "messages[0].tool_calls[0].function.arguments",
            "invalid_value",
        ),
        (
            call("function", "{"),
            "messages[0].tool_calls[0].function.arguments",
            "invalid_value",
        ),
        (
            message(json!({"role": "user"})),
            "messages[0].content",
            "missing_parameter",
        ),
        (
            message(json!({"role": "tool", "content": "3"})),
            "messages[0].tool_call_id",
            "missing_parameter",
        ),
        (
            message(json!({"role": "user", "content": "3", "tool_call_id": "c"})),
            "messages[0].tool_call_id",
            "invalid_value",
        ),
    ] {
        let answer = server.post(CHAT, &chat(extra.clone()));
        assert_eq!(
            (answer.status, answer.error()),
            (400, (param, code)),
            "{extra}: {:?}",
            answer.body
        );
    }
}
