//! Graders tried out over HTTP.

use serde_json::{Value, json};

use super::harness::Server;

const RUN: &str = "/v1/fine_tuning/alpha/graders/run";
const VALIDATE: &str = "/v1/fine_tuning/alpha/graders/validate";

fn equals(reference: &str) -> Value {
    json!({"type": "string_check", "name": "exact", "input": "{{sample.output_text}}", "reference": reference, "operation": "eq"})
}

#[test]
fn a_grader_is_run_on_a_response_and_its_item() {
    let server = Server::start();
    let multi = json!({"type": "multi", "name": "both", "calculate_output": "0.5*a + 0.25*b",
        "graders": {"a": equals("{{item.answer}}"), "b": equals("{{item.other}}")}});
    for (grader, sample, item, reward, verdict) in [
        (
            equals("{{item.answer}}"),
            "42",
            json!({"answer": "42"}),
            json!(1.0),
            "correct",
        ),
        (
            equals("{{item.answer}}"),
            "41",
            json!({"answer": "42"}),
            json!(0.0),
            "wrong",
        ),
        (
            multi.clone(),
            "x",
            json!({"answer": "x", "other": "y"}),
            json!(0.5),
            "wrong",
        ),
    ] {
        let body = json!({"grader": grader, "model_sample": sample, "item": item});
        let answer = server.post(RUN, &body);
        assert_eq!(answer.status, 200, "{}", answer.body);
        assert_eq!(answer.body["reward"], reward, "{body}");
        assert_eq!(answer.body["metadata"]["verdict"], verdict, "{body}");
        assert_eq!(answer.body["metadata"]["type"], grader["type"]);
        let errors = answer.body["metadata"]["errors"].as_object().unwrap();
        assert!(
            errors.values().all(|value| *value == json!(false) || value.is_null()),
            "{errors:?}"
        );
    }
    assert_eq!(
        server.post(VALIDATE, &json!({"grader": multi})).body["grader"]["name"],
        "both"
    );
}

#[test]
fn a_grader_that_cannot_be_used_is_refused_by_name() {
    let server = Server::start();
    let code = json!({"type": "code", "name": "c"});
    let asks = json!({"type": "external", "name": "e", "endpoint": "elsewhere"});
    for grader in [
        json!({}),
        json!({"type": "magic"}),
        json!("exact"),
        json!([1]),
        code,
        asks,
        json!({"type": "regex", "name": "r", "pattern": "("}),
        json!({"type": "regex", "name": "r", "pattern": "(".repeat(10_000)}),
        json!({"type": "é".repeat(10_000)}),
        json!({"type": "regex", "name": "r", "pattern": "a", "x".repeat(10_000): 1}),
    ] {
        for (route, body) in [
            (VALIDATE, json!({"grader": grader})),
            (RUN, json!({"grader": grader, "model_sample": "x"})),
        ] {
            let answer = server.post(route, &body);
            assert_eq!((answer.status, answer.error().0), (400, "grader"), "{route} {body}");
            let said = answer.body["error"]["message"].as_str().unwrap();
            assert!(said.chars().count() < 600, "{} characters: {said}", said.len());
        }
    }
    let missing = server.post(RUN, &json!({"grader": equals("x")}));
    assert_eq!((missing.status, missing.error().0), (400, "model_sample"));
}
