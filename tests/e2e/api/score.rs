//! `POST /v1/score`: the same numbers as generation and as scored prompts, and refusals by name.

use serde_json::{Value, json};

use super::harness::{Server, completion};

const SCORE: &str = "/v1/score";

fn score(extra: Value) -> Value {
    let mut body = json!({"model": "tiny-random", "prompt": "Once upon", "response": " a time"});
    for (key, value) in extra.as_object().unwrap() {
        body[key] = value.clone();
    }
    body
}

fn numbers(value: &Value) -> Vec<f64> {
    value
        .as_array()
        .unwrap()
        .iter()
        .map(|number| number.as_f64().unwrap())
        .collect()
}

#[test]
fn scores_are_what_generation_reported() {
    let server = Server::start();
    for temperature in [1.0, 0.5] {
        let fields = json!({"max_tokens": 20, "ignore_eos": true, "logprobs": 0, "seed": 4, "n": 2,
            "temperature": temperature, "return_token_ids": true});
        let choices = server.post("/v1/completions", &completion(fields)).body["choices"].clone();
        let responses: Vec<Value> = choices
            .as_array()
            .unwrap()
            .iter()
            .map(|choice| choice["token_ids"].clone())
            .collect();
        let prompt = choices[0]["prompt_token_ids"].clone();
        let answer = server.post(
            SCORE,
            &score(json!({"prompt": prompt, "response": responses, "temperature": temperature})),
        );
        assert_eq!(answer.status, 200, "{:?}", answer.body);
        assert_eq!(answer.body["usage"]["completion_tokens"], 40);
        for (index, scored) in answer.body["data"].as_array().unwrap().iter().enumerate() {
            assert_eq!(
                (&scored["index"], &scored["weight_version"]),
                (&json!(index), &json!(0))
            );
            assert_eq!(scored["token_ids"], responses[index]);
            assert_eq!(
                numbers(&scored["logprobs"]),
                numbers(&choices[index]["logprobs"]["token_logprobs"])
            );
            assert!(
                numbers(&scored["entropies"])
                    .iter()
                    .all(|entropy| *entropy > 0.0 && *entropy < 259f64.ln())
            );
        }
    }
}

#[test]
fn an_abort_is_no_answer_of_nothing() {
    let server = Server::start();
    assert_eq!(server.post("/pause?mode=keep", &Value::Null).status, 200);
    std::thread::scope(|scope| {
        let ended = scope.spawn(|| server.post(SCORE, &score(json!({}))));
        server.wait_until("queue", |stats| stats.waiting == 1);
        assert_eq!(server.post("/pause?mode=abort", &Value::Null).status, 200);
        let ended = ended.join().unwrap();
        assert_eq!((ended.status, ended.error()), (503, ("", "aborted")), "{}", ended.body);
        assert_eq!(ended.header("retry-after"), Some("1"));
    });
}

#[test]
fn texts_are_scored_as_their_tokens() {
    let server = Server::start();
    let by_text = server
        .post(SCORE, &score(json!({"weight_version": 0, "cache_salt": "a"})))
        .body;
    let tokens: Vec<u8> = b" a time".to_vec();
    let by_tokens = server
        .post(
            SCORE,
            &score(json!({"prompt": b"Once upon".to_vec(), "response": tokens})),
        )
        .body;
    assert_eq!(by_text["data"], by_tokens["data"]);
    assert_eq!(
        (&by_text["object"], &by_text["usage"]["prompt_tokens"]),
        (&json!("list"), &json!(9))
    );
}

#[test]
fn refusals_name_the_field() {
    let server = Server::start();
    let table = [
        (json!({"model": "other"}), 404, "model", "model_not_found"),
        (json!({"prompt": []}), 400, "prompt", "invalid_type"),
        (json!({"prompt": ["a", "b"]}), 400, "prompt", "invalid_value"),
        (json!({"prompt": ""}), 400, "prompt", "invalid_value"),
        (json!({"prompt": [300]}), 400, "prompt", "invalid_value"),
        (json!({"response": ""}), 400, "response", "invalid_value"),
        (json!({"response": [1, 300]}), 400, "response", "invalid_value"),
        (json!({"response": vec!["a"; 257]}), 400, "response", "invalid_value"),
        (
            json!({"response": "x".repeat(510)}),
            400,
            "response",
            "context_length_exceeded",
        ),
        (json!({"response": 3}), 400, "response", "invalid_type"),
        (json!({"temperature": 0}), 400, "temperature", "invalid_value"),
        (json!({"temperature": 2.5}), 400, "temperature", "invalid_value"),
        (json!({"weight_version": 7}), 400, "weight_version", "invalid_value"),
        (json!({"cache_salt": ""}), 400, "cache_salt", "invalid_value"),
        (json!({"max_tokens": 3}), 400, "max_tokens", "unknown_parameter"),
    ];
    for (fields, status, param, code) in table {
        let answer = server.post(SCORE, &score(fields.clone()));
        assert_eq!(
            (answer.status, answer.error()),
            (status, (param, code)),
            "{fields}: {}",
            answer.body
        );
    }
}
