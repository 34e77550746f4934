//! `/v1/responses`: what chats say in another shape, as a whole and in events; stored, gone on from, cancelled, forgotten.

use std::io::{BufRead, BufReader};

use serde_json::{Value, json};

use super::harness::{Server, chat, tiny_model};

pub(super) const PATH: &str = "/v1/responses";

/// A request with `extra` laid over it.
pub(super) fn body(extra: Value) -> Value {
    let mut body = json!({"model": "tiny-random", "input": "Say something.", "seed": 3, "max_output_tokens": 24});
    for (key, value) in extra.as_object().unwrap() {
        body[key] = value.clone();
    }
    body
}

pub(super) fn respond(server: &Server, extra: Value) -> Value {
    let answer = server.post(PATH, &body(extra.clone()));
    assert_eq!(answer.status, 200, "{extra}: {}", answer.body);
    answer.body
}

fn text(response: &Value) -> &str {
    response["output"][0]["content"][0]["text"].as_str().unwrap()
}

/// Events of a stream: the name of each is its type, and they are numbered.
fn events(server: &Server, extra: Value) -> Vec<Value> {
    let mut asked = body(extra);
    asked["stream"] = json!(true);
    let response = server.open(PATH, &asked);
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let lines: Vec<String> = BufReader::new(response.into_body().into_reader())
        .lines()
        .map(Result::unwrap)
        .collect();
    let of = |prefix: &str| -> Vec<String> {
        let lines = lines.iter().filter_map(|line| line.strip_prefix(prefix));
        lines.map(ToOwned::to_owned).collect()
    };
    let events: Vec<Value> = of("data: ")
        .iter()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(of("event: "), types(&events));
    for (at, event) in events.iter().enumerate() {
        assert_eq!(event["sequence_number"], at, "{event}");
    }
    events
}

fn types(events: &[Value]) -> Vec<String> {
    events
        .iter()
        .map(|event| event["type"].as_str().unwrap().to_owned())
        .collect()
}

/// The same but for what is drawn anew: ids and times.
fn timeless(mut response: Value) -> Value {
    for field in ["id", "created_at", "completed_at"] {
        response[field] = Value::Null;
    }
    for item in response["output"].as_array_mut().unwrap() {
        item["id"] = Value::Null;
        item["call_id"] = Value::Null;
    }
    response
}

#[test]
fn a_response_says_what_a_chat_says() {
    let server = Server::start();
    let cases = [
        (json!({}), json!([{"role": "user", "content": "Say something."}])),
        (
            json!({"instructions": "Be brief.", "input": [
                {"role": "user", "content": [{"type": "input_text", "text": "One "}, {"type": "input_text", "text": "two"}]},
                {"type": "message", "role": "assistant", "status": "completed", "id": "msg_1", "phase": null,
                    "content": [{"type": "output_text", "text": "three", "annotations": [], "logprobs": []}]},
                {"role": "developer", "content": "Go on."},
            ]}),
            json!([
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": "One two"},
                {"role": "assistant", "content": "three"},
                {"role": "developer", "content": "Go on."},
            ]),
        ),
    ];
    for (fields, messages) in cases {
        let spoken = server.post(
            "/v1/chat/completions",
            &chat(json!({"messages": messages, "seed": 3, "max_tokens": 24, "ignore_eos": true})),
        );
        let mut fields = fields;
        fields["ignore_eos"] = json!(true);
        let response = respond(&server, fields.clone());
        assert_eq!(spoken.body["choices"][0]["message"]["content"], text(&response));
        let usage = &response["usage"];
        assert_eq!(usage["input_tokens"], spoken.body["usage"]["prompt_tokens"]);
        assert_eq!(
            (&usage["output_tokens"], &usage["total_tokens"]),
            (&json!(24), &spoken.body["usage"]["total_tokens"])
        );
        assert_eq!(
            (&response["status"], &response["object"]),
            (&json!("incomplete"), &json!("response"))
        );
        assert_eq!(response["incomplete_details"], json!({"reason": "max_output_tokens"}));
        assert_eq!(
            response["instructions"],
            fields.get("instructions").cloned().unwrap_or_default()
        );
        assert_eq!((&response["seed"], &response["weight_version"]), (&json!(3), &json!(0)));
    }
}

#[test]
fn the_events_of_a_stream_add_up_to_the_whole() {
    let server = Server::start();
    let format = json!({"format": {"type": "json_schema", "name": "n", "schema": {"enum": ["yes", "certainly"]}}});
    for fields in [json!({"ignore_eos": true}), json!({"text": format, "temperature": 0})] {
        let whole = respond(&server, fields.clone());
        let events = events(&server, fields);
        let names = types(&events);
        assert_eq!(
            names[..4],
            [
                "response.created",
                "response.in_progress",
                "response.output_item.added",
                "response.content_part.added"
            ]
        );
        let status = whole["status"].as_str().unwrap();
        let end = [
            "response.output_text.done",
            "response.content_part.done",
            "response.output_item.done",
            &format!("response.{status}"),
        ];
        assert_eq!(names[names.len() - 4..], end);
        let middle = &names[4..names.len() - 4];
        assert!(
            !middle.is_empty() && middle.iter().all(|name| name == "response.output_text.delta"),
            "{middle:?}"
        );
        let deltas: String = events.iter().filter_map(|event| event["delta"].as_str()).collect();
        assert_eq!(deltas, text(&whole));
        let last = events.last().unwrap()["response"].clone();
        assert_eq!(timeless(last.clone()), timeless(whole));
        assert_eq!(events[0]["response"]["status"], "in_progress");
        assert_eq!(events[events.len() - 4]["text"], deltas.as_str());
        assert_eq!(events[events.len() - 2]["item"], last["output"][0]);
        // What the stream said is what is stored.
        let id = last["id"].as_str().unwrap();
        assert_eq!(server.get(&format!("{PATH}/{id}")).body, last);
    }
}

#[test]
fn functions_are_called_and_answered() {
    // Tools take room in the context.
    let mut model = tiny_model();
    model.config.max_position_embeddings = 4096;
    let server = Server::with_model(model, |_| {});
    let tools = json!([{"type": "function", "name": "add", "description": null, "strict": true, "parameters":
        {"type": "object", "properties": {"a": {"enum": [1, 2]}}, "required": ["a"], "additionalProperties": false}}]);
    let fields = json!({"tools": tools, "tool_choice": {"type": "function", "name": "add"}, "max_output_tokens": 200});
    let whole = respond(&server, fields.clone());
    let call = &whole["output"][0];
    assert_eq!(
        (&call["type"], &call["name"], &call["status"]),
        (&json!("function_call"), &json!("add"), &json!("completed"))
    );
    let arguments: Value = serde_json::from_str(call["arguments"].as_str().unwrap()).unwrap();
    assert!([json!({"a": 1}), json!({"a": 2})].contains(&arguments), "{arguments}");
    assert_eq!((&whole["status"], &whole["tools"]), (&json!("completed"), &tools));
    let events = events(&server, fields.clone());
    assert_eq!(
        types(&events)[2..],
        [
            "response.output_item.added",
            "response.function_call_arguments.delta",
            "response.function_call_arguments.done",
            "response.output_item.done",
            "response.completed"
        ]
    );
    assert_eq!(timeless(events[6]["response"].clone()), timeless(whole.clone()));
    // The output goes back by hand, or after the stored response: the model is shown the same.
    let output = json!({"type": "function_call_output", "call_id": call["call_id"], "output": "3"});
    let by_hand = respond(
        &server,
        json!({"tools": tools, "input": [{"role": "user", "content": "Say something."}, call, output]}),
    );
    let stored = respond(
        &server,
        json!({"tools": tools, "input": [output], "previous_response_id": whole["id"]}),
    );
    assert_eq!(text(&by_hand), text(&stored));
    assert_eq!(by_hand["usage"], stored["usage"]);
}

#[test]
fn conversations_go_on_from_what_is_stored() {
    let server = Server::start();
    let first = respond(&server, json!({"input": "One.", "instructions": "Be brief."}));
    let second = respond(&server, json!({"input": "Two.", "previous_response_id": first["id"]}));
    assert_eq!(second["previous_response_id"], first["id"]);
    let spelled = json!([{"role": "user", "content": "One."}, {"role": "assistant", "content": text(&first)},
        {"role": "user", "content": "Two."}]);
    let whole = respond(&server, json!({"input": spelled}));
    assert_eq!((text(&second), &second["usage"]), (text(&whole), &whole["usage"]));
    // What went on from it does not need it any more.
    let id = first["id"].as_str().unwrap();
    let deleted = server.delete(&format!("{PATH}/{id}"));
    assert_eq!(deleted.body, json!({"id": id, "object": "response", "deleted": true}));
    for gone in [
        server.get(&format!("{PATH}/{id}")),
        server.delete(&format!("{PATH}/{id}")),
    ] {
        assert_eq!((gone.status, gone.error()), (404, ("", "response_not_found")));
    }
    let cut = format!("{PATH}/%ff");
    for unread in [
        server.get(&cut),
        server.delete(&cut),
        server.post_raw(&format!("{cut}/cancel"), &[], b""),
    ] {
        assert_eq!((unread.status, unread.error()), (400, ("id", "invalid_value")));
    }
    let refused = server.post(PATH, &body(json!({"previous_response_id": id})));
    let expected = (400, ("previous_response_id", "previous_response_not_found"));
    assert_eq!((refused.status, refused.error()), expected);
    respond(
        &server,
        json!({"input": "Three.", "previous_response_id": second["id"]}),
    );
    let hidden = respond(&server, json!({"store": false}));
    assert_eq!(
        server.get(&format!("{PATH}/{}", hidden["id"].as_str().unwrap())).status,
        404
    );
}

#[test]
fn what_is_stored_is_bounded() {
    let server = Server::with(|config| config.server.max_stored_responses = 2);
    let ids: Vec<String> = (0..3)
        .map(|_| respond(&server, json!({}))["id"].as_str().unwrap().to_owned())
        .collect();
    let kept: Vec<u16> = ids
        .iter()
        .map(|id| server.get(&format!("{PATH}/{id}")).status)
        .collect();
    assert_eq!(kept, [404, 200, 200]);
    let small = Server::with(|config| config.server.max_stored_response_bytes = 2200);
    let ids: Vec<String> = ["a".repeat(100), "b".repeat(400)]
        .map(|input| {
            respond(&small, json!({"input": input}))["id"]
                .as_str()
                .unwrap()
                .to_owned()
        })
        .to_vec();
    let kept: Vec<u16> = ids.iter().map(|id| small.get(&format!("{PATH}/{id}")).status).collect();
    assert_eq!(kept, [404, 200]);
}

#[test]
fn what_runs_is_told_and_cancelled() {
    let server = Server::slow(|_| {});
    let long = json!({"background": true, "max_output_tokens": 450, "ignore_eos": true});
    // Nothing runs away while it is looked at.
    assert_eq!(server.post("/pause?mode=keep", &Value::Null).status, 200);
    let begun = respond(&server, long);
    assert_eq!(
        (&begun["status"], &begun["background"]),
        (&json!("in_progress"), &json!(true))
    );
    let path = format!("{PATH}/{}", begun["id"].as_str().unwrap());
    assert_eq!(server.get(&path).body["status"], "in_progress");
    let early = server.post(PATH, &body(json!({"previous_response_id": begun["id"]})));
    assert_eq!(
        (early.status, early.error()),
        (400, ("previous_response_id", "invalid_value"))
    );
    let cancel = format!("{path}/cancel");
    let cancelled = server.post(&cancel, &Value::Null);
    assert_eq!(
        (cancelled.status, &cancelled.body["status"]),
        (200, &json!("cancelled")),
        "{}",
        cancelled.body
    );
    assert_eq!(cancelled.body["usage"]["output_tokens"], 0);
    assert_eq!(server.get(&path).body, cancelled.body);
    assert_eq!(server.post(&cancel, &Value::Null).body, cancelled.body);
    assert_eq!(server.post("/resume", &Value::Null).status, 200);
    server.wait_until_idle();
    // One that is left alone is there when it is done.
    let begun = respond(
        &server,
        json!({"background": true, "ignore_eos": true, "max_output_tokens": 30}),
    );
    let path = format!("{PATH}/{}", begun["id"].as_str().unwrap());
    server.wait_until_idle();
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while server.get(&path).body["status"] == "in_progress" {
        assert!(std::time::Instant::now() < deadline, "it does not end");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let done = server.get(&path).body;
    let here = respond(&server, json!({"ignore_eos": true, "max_output_tokens": 30}));
    assert_eq!((text(&done), &done["usage"]), (text(&here), &here["usage"]));
    let late = server.post(&format!("{path}/cancel"), &Value::Null);
    assert_eq!((late.status, late.error()), (409, ("", "wrong_state")));
    // A client that leaves in the middle: what it asked for is not left running.
    assert_eq!(server.post("/pause?mode=keep", &Value::Null).status, 200);
    let mut asked = body(json!({"stream": true, "max_output_tokens": 450, "ignore_eos": true}));
    asked["input"] = json!("Leave.");
    let stream = server.open(PATH, &asked);
    let mut lines = BufReader::new(stream.into_body().into_reader())
        .lines()
        .map(Result::unwrap);
    let first = lines
        .find_map(|line| line.strip_prefix("data: ").map(ToOwned::to_owned))
        .unwrap();
    drop(lines);
    let id = serde_json::from_str::<Value>(&first).unwrap()["response"]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    server.wait_until_idle();
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while server.get(&format!("{PATH}/{id}")).body["status"] != "failed" {
        assert!(std::time::Instant::now() < deadline, "it is not ended");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}

#[test]
fn responses_are_logged_as_chats_are() {
    let server = Server::start();
    let metadata = json!({"group": "g", "problem_id": "p"});
    let response = respond(&server, json!({"metadata": metadata, "ignore_eos": true}));
    assert_eq!(response["metadata"], metadata);
    respond(&server, json!({"store": false, "ignore_eos": true}));
    let rows = server.get("/v1/trajectories").body["data"].clone();
    let ids: Vec<&str> = rows
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["id"].as_str().unwrap())
        .collect();
    assert_eq!(ids, [format!("{}-0-0", response["id"].as_str().unwrap())]);
}
