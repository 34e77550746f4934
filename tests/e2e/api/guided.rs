//! Guided answers over HTTP: what comes back is what was asked for, and what cannot be asked for is refused by name.

use serde_json::{Value, json};
use svs_trainer::log::ListQuery;

use super::harness::{Server, chat, completion};

const CHAT: &str = "/v1/chat/completions";
const TEXT: &str = "/v1/completions";

fn schema() -> Value {
    json!({
        "type": "object",
        "properties": {"ok": {"type": "boolean"}, "n": {"type": "integer", "minimum": -20, "maximum": 20}},
        "required": ["ok", "n"],
        "additionalProperties": false,
    })
}

fn fits_schema(text: &str) -> bool {
    let value: Value = serde_json::from_str(text).unwrap();
    value["ok"].is_boolean() && value["n"].as_i64().is_some_and(|n| (-20..=20).contains(&n))
}

/// Route, fields, what the text must be.
type Case = (&'static str, Value, fn(&str) -> bool);

fn cases() -> Vec<Case> {
    let wrapped = json!({"name": "s", "schema": schema(), "strict": true});
    let grammar = "start: \"(\" start \")\" | \"x\"";
    let balanced: fn(&str) -> bool =
        |text| text.matches('(').count() == text.matches(')').count() && text.contains('x');
    let vowels: fn(&str) -> bool = |text| text.len() == 3 && text.chars().all(|letter| "aeiou".contains(letter));
    let bird: fn(&str) -> bool = |text| ["owl", "gül", "raven"].contains(&text);
    vec![
        (
            CHAT,
            json!({"response_format": {"type": "json_schema", "json_schema": wrapped}}),
            fits_schema,
        ),
        (
            TEXT,
            json!({"response_format": {"type": "json_schema", "json_schema": wrapped}}),
            fits_schema,
        ),
        (TEXT, json!({"structured_outputs": {"json": schema()}}), fits_schema),
        (
            TEXT,
            json!({"structured_outputs": {"json": schema().to_string()}}),
            fits_schema,
        ),
        (CHAT, json!({"guided_json": schema()}), fits_schema),
        (CHAT, json!({"structured_outputs": {"regex": "[aeiou]{3}"}}), vowels),
        (TEXT, json!({"guided_regex": "[aeiou]{3}"}), vowels),
        (
            CHAT,
            json!({"structured_outputs": {"choice": ["owl", "gül", "raven"]}}),
            bird,
        ),
        (TEXT, json!({"guided_choice": ["owl", "gül", "raven"]}), bird),
        (CHAT, json!({"structured_outputs": {"grammar": grammar}}), balanced),
        (TEXT, json!({"guided_grammar": grammar}), balanced),
    ]
}

fn text(choice: &Value) -> &str {
    let content = choice["message"]["content"].as_str();
    content.or(choice["text"].as_str()).unwrap()
}

#[test]
fn answers_are_what_was_asked_for() {
    let server = Server::start();
    for (route, fields, fits) in cases() {
        for seed in 0..8 {
            let mut fields = fields.clone();
            (fields["seed"], fields["n"], fields["max_tokens"]) = (json!(seed), json!(4), json!(300));
            let body = if route == CHAT {
                chat(fields.clone())
            } else {
                completion(fields.clone())
            };
            let answer = server.post(route, &body);
            assert_eq!(answer.status, 200, "{:?}", answer.body);
            for choice in answer.body["choices"].as_array().unwrap() {
                assert_eq!(choice["finish_reason"], "stop", "{fields}");
                assert!(fits(text(choice)), "{fields}: {choice}");
            }
        }
    }
    let query = ListQuery {
        limit: 1,
        ..ListQuery::default()
    };
    let logged = server.stack.log.list(&query).unwrap().remove(0);
    assert!(
        logged.trajectory.sampling.guide.is_some(),
        "the log says that the tokens were guided"
    );
}

#[test]
fn any_json_object_begins_as_one() {
    let server = Server::start();
    for seed in 0..20 {
        let fields = json!({"response_format": {"type": "json_object"}, "seed": seed, "max_tokens": 200, "logit_bias": {"125": 8}});
        let answer = server.post(CHAT, &chat(fields));
        let choice = &answer.body["choices"][0];
        assert!(text(choice).starts_with('{'), "{choice}");
        if choice["finish_reason"] == "stop" {
            assert!(serde_json::from_str::<Value>(text(choice)).unwrap().is_object());
        }
    }
}

#[test]
fn a_stream_says_the_same_and_logprobs_are_those_of_the_masked_distribution() {
    let server = Server::start();
    let fields =
        json!({"guided_choice": ["aa", "ab"], "seed": 3, "max_tokens": 8, "logprobs": 3, "return_token_ids": true});
    let whole = server.post(TEXT, &completion(fields.clone())).body;
    let choice = &whole["choices"][0];
    let logprobs: Vec<f64> = choice["logprobs"]["token_logprobs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|x| x.as_f64().unwrap())
        .collect();
    // `a` is certain, one of two follows, and then there is nothing but an end.
    assert_eq!((logprobs.len(), logprobs[0]), (3, 0.0));
    assert!(choice["token_ids"][2].as_u64().unwrap() >= 256, "{choice}");
    let top = choice["logprobs"]["top_logprobs"][1].as_object().unwrap();
    assert_eq!(top.len(), 2, "only two tokens are possible: {top:?}");
    let mass: f64 = top.values().map(|logprob| logprob.as_f64().unwrap().exp()).sum();
    assert!((mass - 1.0).abs() < 1e-5, "{top:?}");
    let mut streamed = fields;
    streamed["stream"] = json!(true);
    let joined: String = server
        .stream(TEXT, &completion(streamed))
        .iter()
        .map(|event| text(&event["choices"][0]).to_owned())
        .collect();
    assert_eq!(joined, text(choice));
}

#[test]
fn refusals_name_the_field() {
    let server = Server::with(|config| config.engine.guides.max_bytes = 4096);
    let wrapped = |schema: Value| json!({"response_format": {"type": "json_schema", "json_schema": {"name": "s", "schema": schema}}});
    let inner = "response_format.json_schema.schema";
    let table = [
        (
            json!({"response_format": {"type": "xml"}}),
            "response_format.type",
            "invalid_value",
            "xml",
        ),
        (
            json!({"response_format": {"type": "json_schema"}}),
            "response_format.json_schema",
            "invalid_value",
            "needed",
        ),
        (
            json!({"response_format": {"type": "json_schema", "json_schema": {"name": "s"}}}),
            inner,
            "missing_parameter",
            "",
        ),
        (
            json!({"response_format": {"type": "text", "json_schema": {"schema": {}}}}),
            "response_format.json_schema",
            "invalid_value",
            "",
        ),
        (
            json!({"response_format": {"type": "json_schema", "json_schema": ["s"]}}),
            "response_format.json_schema",
            "invalid_type",
            "",
        ),
        (
            wrapped(json!({"not": {"type": "null"}})),
            inner,
            "invalid_value",
            "\"not\"",
        ),
        (
            wrapped(json!({"type": "array", "uniqueItems": true})),
            inner,
            "invalid_value",
            "\"uniqueItems\"",
        ),
        (
            wrapped(json!({"enum": ["x".repeat(4097)]})),
            inner,
            "invalid_value",
            "engine.guides.max_bytes",
        ),
        (
            json!({"structured_outputs": {}}),
            "structured_outputs",
            "invalid_value",
            "`regex`",
        ),
        (
            json!({"structured_outputs": {"whitespace_pattern": "x"}}),
            "structured_outputs.whitespace_pattern",
            "unknown_parameter",
            "",
        ),
        (
            json!({"structured_outputs": {"json": "{"}}),
            "structured_outputs.json",
            "invalid_value",
            "not JSON",
        ),
        (
            json!({"structured_outputs": {"regex": "("}}),
            "structured_outputs.regex",
            "invalid_value",
            "",
        ),
        (
            json!({"structured_outputs": {"choice": []}}),
            "structured_outputs.choice",
            "invalid_value",
            "at least one",
        ),
        (
            json!({"structured_outputs": {"grammar": "x"}}),
            "structured_outputs.grammar",
            "invalid_value",
            "",
        ),
        (
            json!({"structured_outputs": {"regex": "a", "choice": ["b"]}}),
            "structured_outputs.choice",
            "invalid_value",
            "`structured_outputs.regex`",
        ),
        (
            json!({"guided_regex": "a", "guided_grammar": "start: \"a\""}),
            "guided_grammar",
            "invalid_value",
            "`guided_regex`",
        ),
        (
            json!({"guided_regex": "a", "ignore_eos": true}),
            "ignore_eos",
            "invalid_value",
            "guided_regex",
        ),
        (json!({"guided_regex": "("}), "guided_regex", "invalid_value", ""),
        (json!({"guided_choice": "a"}), "guided_choice", "invalid_type", ""),
    ];
    for (fields, param, code, part) in table {
        for (route, body) in [(CHAT, chat(fields.clone())), (TEXT, completion(fields.clone()))] {
            let answer = server.post(route, &body);
            assert_eq!(
                (answer.status, answer.error()),
                (400, (param, code)),
                "{route} {fields}: {}",
                answer.body
            );
            let message = answer.body["error"]["message"].as_str().unwrap();
            assert!(message.contains(part) && message.len() < 600, "{fields}: {message}");
        }
    }
}

/// A grammar of terminals, each of which repeats the one before fifty times.
fn bomb() -> String {
    let lines = (1..9).map(|at| format!("X{at}: {}", format!("X{} ", at - 1).repeat(50)));
    let lines: Vec<String> = lines.collect();
    format!("start: X8\nX0: \"a\"\n{}", lines.join("\n"))
}

#[test]
fn guides_that_ask_for_too_much_are_refused_and_hold_up_nobody() {
    let server = Server::with(|config| config.engine.guides.compile_seconds = 1);
    let hostile = [
        json!({"guided_json": {"type": "integer", "multipleOf": 9_999_991}}),
        json!({"guided_grammar": bomb()}),
    ];
    let field = |fields: &Value| fields.as_object().unwrap().keys().next().unwrap().clone();
    std::thread::scope(|scope| {
        let refused = hostile.each_ref().map(|fields| {
            let server = &server;
            scope.spawn(move || server.post(TEXT, &completion(fields.clone())))
        });
        for seed in 0..20 {
            let answer = server.post(TEXT, &completion(json!({"seed": seed, "max_tokens": 4})));
            assert_eq!(answer.status, 200, "{:?}", answer.body);
        }
        for (fields, answer) in hostile.iter().zip(refused) {
            let answer = answer.join().unwrap();
            let told = (answer.status, answer.error().0.to_owned());
            assert_eq!(told, (400, field(fields)), "{:?}", answer.body);
            let message = answer.body["error"]["message"].to_string();
            assert!(message.contains("engine.guides."), "{message}");
        }
    });
    let again = std::time::Instant::now();
    assert_eq!(server.post(TEXT, &completion(hostile[0].clone())).status, 400);
    assert!(again.elapsed().as_millis() < 900, "the verdict is kept");
    let many: Vec<String> = (0..4000).map(|at| format!("choice {at}")).collect();
    let answer = server.post(TEXT, &completion(json!({"guided_choice": many, "max_tokens": 30})));
    assert_eq!(answer.status, 200, "{:?}", answer.body);
}

#[test]
fn guides_in_use_and_guides_waiting_have_bounds() {
    let few = Server::with(|config| config.engine.guides.live_bytes = 1);
    let body = completion(json!({"guided_regex": "(a|b){200}", "max_tokens": 210, "stream": true}));
    let statuses = std::thread::scope(|scope| {
        let posts = [(); 6].map(|()| scope.spawn(|| few.post(TEXT, &body).status));
        posts.map(|post| post.join().unwrap())
    });
    assert!(
        statuses.iter().all(|status| [200, 429].contains(status)),
        "{statuses:?}"
    );
    assert!(
        statuses.contains(&200),
        "a guide beyond the bound runs alone: {statuses:?}"
    );
}
