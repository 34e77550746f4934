//! What `/v1/responses` refuses, by the name of the field.

use serde_json::{Value, json};

use super::harness::Server;
use super::responses::{PATH, body, respond};

#[test]
fn refusals_name_the_field() {
    let server = Server::start();
    let call = json!({"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"});
    let with = |field: &str, value: Value| {
        let mut call = call.clone();
        call[field] = value;
        json!({"input": [call]})
    };
    let format = |format: Value| json!({"text": {"format": format}});
    let table = [
        (json!({"model": "other"}), 404, "model", "model_not_found"),
        (json!({"input": null}), 400, "input", "invalid_type"),
        (json!({"input": []}), 400, "input", "invalid_value"),
        (json!({"input": 3}), 400, "input", "invalid_type"),
        (
            json!({"input": [{"role": "user"}]}),
            400,
            "input[0].content",
            "missing_parameter",
        ),
        (
            json!({"input": [{"content": "a"}]}),
            400,
            "input[0].role",
            "missing_parameter",
        ),
        (
            json!({"input": [{"role": "tool", "content": "a"}]}),
            400,
            "input[0].role",
            "invalid_value",
        ),
        (
            json!({"input": [{"type": "reasoning"}]}),
            400,
            "input[0].type",
            "invalid_value",
        ),
        (
            json!({"input": [{"type": "item_reference", "id": "x"}]}),
            400,
            "input[0].type",
            "invalid_value",
        ),
        (
            json!({"input": [{"role": "user", "content": [{"type": "input_image", "image_url": "x"}]}]}),
            400,
            "input",
            "invalid_type",
        ),
        (
            with("arguments", json!("[]")),
            400,
            "input[0].arguments",
            "invalid_value",
        ),
        (
            with("call_id", Value::Null),
            400,
            "input[0].call_id",
            "missing_parameter",
        ),
        (
            json!({"input": "x".repeat(600)}),
            400,
            "input",
            "context_length_exceeded",
        ),
        (
            json!({"max_output_tokens": 0}),
            400,
            "max_output_tokens",
            "invalid_value",
        ),
        (json!({"temperature": 3}), 400, "temperature", "invalid_value"),
        (json!({"truncation": "auto"}), 400, "truncation", "invalid_value"),
        (
            json!({"background": true, "store": false}),
            400,
            "background",
            "invalid_value",
        ),
        (
            json!({"background": true, "stream": true}),
            400,
            "background",
            "invalid_value",
        ),
        (
            json!({"reasoning": {"effort": "low"}}),
            400,
            "reasoning",
            "unsupported_parameter",
        ),
        (
            json!({"include": ["file_search_call.results"]}),
            400,
            "include",
            "unsupported_parameter",
        ),
        (
            json!({"conversation": "c"}),
            400,
            "conversation",
            "unsupported_parameter",
        ),
        (json!({"messages": []}), 400, "messages", "unknown_parameter"),
        (
            json!({"text": {"verbosity": "low"}}),
            400,
            "text.verbosity",
            "unknown_parameter",
        ),
        (format(json!({"type": "xml"})), 400, "text.format.type", "invalid_value"),
        (
            format(json!({"type": "json_schema", "name": "n"})),
            400,
            "text.format.schema",
            "missing_parameter",
        ),
        (
            format(json!({"type": "json_schema", "name": "n", "schema": {"not": {}}})),
            400,
            "text.format.schema",
            "invalid_value",
        ),
        (
            json!({"tools": [{"type": "web_search"}]}),
            400,
            "tools[0].name",
            "missing_parameter",
        ),
        (
            json!({"tools": [{"type": "custom", "name": "a"}]}),
            400,
            "tools[0].type",
            "invalid_value",
        ),
        (
            json!({"tools": [{"type": "function", "name": "a b"}]}),
            400,
            "tools[0].name",
            "invalid_value",
        ),
        (
            json!({"tool_choice": {"type": "web_search"}}),
            400,
            "tool_choice",
            "invalid_value",
        ),
        (json!({"tool_choice": "required"}), 400, "tool_choice", "invalid_value"),
    ];
    for (fields, status, param, code) in table {
        let answer = server.post(PATH, &body(fields.clone()));
        let expected = (status, (param, code));
        assert_eq!((answer.status, answer.error()), expected, "{fields}: {}", answer.body);
    }
    // What says nothing is not in the way of clients that send it.
    respond(
        &server,
        json!({"include": [], "reasoning": null, "truncation": "disabled", "user": "me"}),
    );
}
