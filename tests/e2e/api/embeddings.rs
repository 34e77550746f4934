//! `/v1/embeddings`: pooled, normalised hidden states in OpenAI's shapes, beside generation, and refusals by name.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use svs_engine::Pooling;

use super::harness::{Server, completion, events};

const EMBED: &str = "/v1/embeddings";
const HIDDEN: usize = 64;

fn body(extra: Value) -> Value {
    let mut body = json!({"model": "tiny-random", "input": "Once upon a time"});
    for (key, value) in extra.as_object().unwrap() {
        body[key] = value.clone();
    }
    body
}

fn numbers(value: &Value) -> Vec<f32> {
    let numbers = value.as_array().unwrap().iter();
    numbers.map(|number| number.as_f64().unwrap() as f32).collect()
}

fn vectors(server: &Server, extra: Value) -> Vec<Vec<f32>> {
    let answer = server.post(EMBED, &body(extra.clone()));
    assert_eq!(answer.status, 200, "{extra}: {}", answer.body);
    let data = answer.body["data"].as_array().unwrap();
    data.iter().map(|one| numbers(&one["embedding"])).collect()
}

fn unit(vector: &[f32]) -> Vec<f32> {
    let length = vector.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt();
    vector.iter().map(|value| (f64::from(*value) / length) as f32).collect()
}

/// What the engine's own request says, normalised.
fn direct(server: &Server, pooling: Pooling, text: &str) -> Vec<f32> {
    let tokens = text.bytes().map(u32::from).collect();
    let run = server.stack.engine.submit(pooling.lower(tokens)).unwrap();
    unit(&run.collect_blocking().unwrap().pooled.unwrap())
}

#[test]
fn vectors_are_the_pooled_states_normalised() {
    let server = Server::start();
    let texts = ["Once upon a time", "b", "Once upon another"];
    for (fields, pooling) in [
        (json!({"input": texts}), Pooling::Mean),
        (
            json!({"input": texts, "pooling": "mean", "user": "me", "dimensions": null}),
            Pooling::Mean,
        ),
        (
            json!({"input": texts, "pooling": "last", "encoding_format": "float"}),
            Pooling::Last,
        ),
    ] {
        let answer = server.post(EMBED, &body(fields)).body;
        assert_eq!(
            (&answer["object"], &answer["model"]),
            (&json!("list"), &json!("tiny-random"))
        );
        assert_eq!(answer["usage"], json!({"prompt_tokens": 34, "total_tokens": 34}));
        assert_eq!(answer["weight_version"], 0);
        for (index, (one, text)) in answer["data"].as_array().unwrap().iter().zip(texts).enumerate() {
            assert_eq!((&one["object"], &one["index"]), (&json!("embedding"), &json!(index)));
            assert_eq!(
                numbers(&one["embedding"]),
                direct(&server, pooling, text),
                "{pooling:?} {text}"
            );
        }
    }
    let last = Server::with(|config| config.server.embedding_pooling = Pooling::Last);
    assert_eq!(vectors(&last, json!({}))[0], direct(&last, Pooling::Last, texts[0]));
}

#[test]
fn every_shape_of_input_and_output_says_the_same() {
    let server = Server::start();
    let whole = vectors(&server, json!({})).remove(0);
    assert_eq!(whole.len(), HIDDEN);
    let ids = b"Once upon a time".to_vec();
    for input in [json!(["Once upon a time"]), json!(ids), json!([ids, [98]])] {
        assert_eq!(vectors(&server, json!({"input": input}))[0], whole, "{input}");
    }
    let coded = server.post(EMBED, &body(json!({"encoding_format": "base64"}))).body;
    let bytes = STANDARD
        .decode(coded["data"][0]["embedding"].as_str().unwrap())
        .unwrap();
    let (chunks, rest) = bytes.as_chunks::<4>();
    let decoded: Vec<f32> = chunks.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
    assert_eq!((decoded, rest.len()), (whole.clone(), 0));
    for kept in [1, 7, HIDDEN] {
        let cut = vectors(&server, json!({"dimensions": kept})).remove(0);
        assert_eq!(cut.len(), kept);
        for (got, want) in cut.iter().zip(unit(&whole[..kept])) {
            assert!((got - want).abs() < 1e-6, "{kept} dimensions: {got} is not {want}");
        }
    }
}

#[test]
fn they_are_computed_beside_streams_and_wait_in_a_pause() {
    let server = Server::slow(|_| {});
    let stream = server.open(
        "/v1/completions",
        &completion(
            json!({"max_tokens": 300, "ignore_eos": true, "stream": true, "seed": 1, "return_token_ids": true}),
        ),
    );
    server.wait_until("stream", |stats| stats.running == 1);
    let texts: Vec<String> = (0..20).map(|at| format!("text {at}")).collect();
    let beside = vectors(&server, json!({"input": texts}));
    let events = events(stream);
    let ids = events
        .iter()
        .filter_map(|event| event["choices"][0]["token_ids"].as_array());
    assert_eq!(ids.flatten().count(), 300);
    assert_eq!(server.post("/pause?mode=keep", &Value::Null).status, 200);
    std::thread::scope(|scope| {
        let held = scope.spawn(|| vectors(&server, json!({"input": texts})));
        server.wait_until("queue", |stats| stats.waiting == texts.len());
        assert_eq!(server.post("/resume", &Value::Null).status, 200);
        assert_eq!(held.join().unwrap(), beside);
        // An abort is no answer of nothing.
        assert_eq!(server.post("/pause?mode=keep", &Value::Null).status, 200);
        let ended = scope.spawn(|| server.post(EMBED, &body(json!({"input": texts}))));
        server.wait_until("queue", |stats| stats.waiting == texts.len());
        assert_eq!(server.post("/pause?mode=abort", &Value::Null).status, 200);
        let ended = ended.join().unwrap();
        assert_eq!((ended.status, ended.error()), (503, ("", "aborted")), "{}", ended.body);
        assert_eq!(ended.header("retry-after"), Some("1"));
    });
}

#[test]
fn refusals_name_the_field() {
    let server = Server::with(|config| {
        config.server.max_embedding_inputs = 3;
        config.server.max_embedding_tokens = 600;
    });
    let table = [
        (json!({"model": "other"}), 404, "model", "model_not_found"),
        (json!({"input": null}), 400, "input", "invalid_type"),
        (json!({"input": []}), 400, "input", "invalid_type"),
        (json!({"input": ""}), 400, "input", "invalid_value"),
        (json!({"input": ["a", ""]}), 400, "input", "invalid_value"),
        (json!({"input": ["a", 3]}), 400, "input", "invalid_type"),
        (json!({"input": [300]}), 400, "input", "invalid_value"),
        (json!({"input": ["a", "b", "c", "d"]}), 400, "input", "invalid_value"),
        (
            json!({"input": "x".repeat(513)}),
            400,
            "input",
            "context_length_exceeded",
        ),
        (
            json!({"input": [vec![1; 513]]}),
            400,
            "input",
            "context_length_exceeded",
        ),
        (
            json!({"input": ["x".repeat(400), "x".repeat(201)]}),
            400,
            "input",
            "invalid_value",
        ),
        (
            json!({"encoding_format": "hex"}),
            400,
            "encoding_format",
            "invalid_value",
        ),
        (json!({"pooling": "cls"}), 400, "pooling", "invalid_value"),
        (json!({"dimensions": 0}), 400, "dimensions", "invalid_value"),
        (json!({"dimensions": 65}), 400, "dimensions", "invalid_value"),
        (json!({"dimensions": -1}), 400, "dimensions", "invalid_type"),
        (
            json!({"truncate_prompt_tokens": 3}),
            400,
            "truncate_prompt_tokens",
            "unknown_parameter",
        ),
    ];
    for (fields, status, param, code) in table {
        let answer = server.post(EMBED, &body(fields.clone()));
        let expected = (status, (param, code));
        assert_eq!((answer.status, answer.error()), expected, "{fields}: {}", answer.body);
    }
    assert_eq!(
        vectors(&server, json!({"input": ["x".repeat(400), "x".repeat(200)]})).len(),
        2
    );
}
