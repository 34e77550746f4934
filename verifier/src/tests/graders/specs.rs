//! Specifications: shapes that are read, and those that are refused.

use serde_json::json;

use super::refusal;
use crate::spec::GraderSpec;

#[test]
fn shapes_of_openai_are_read_and_written_back() {
    let cases = [
        json!({"type": "string_check", "name": "g", "input": "{{sample.output_text}}", "reference": "{{item.label}}", "operation": "eq"}),
        json!({"type": "text_similarity", "name": "g", "input": "{{sample.output_text}}", "reference": "{{item.label}}", "evaluation_metric": "rouge_5"}),
        json!({"type": "multi", "name": "g", "calculate_output": "a", "graders":
            {"a": {"type": "string_check", "name": "a", "input": "a", "reference": "b", "operation": "ilike"}}}),
    ];
    for case in cases {
        let spec: GraderSpec = serde_json::from_value(case.clone()).unwrap();
        assert!(spec.build().is_ok(), "{case}");
        assert_eq!(serde_json::to_value(&spec).unwrap(), case);
    }
}

#[test]
fn what_cannot_be_graded_is_refused_by_name() {
    let sides = |more: serde_json::Value| {
        let mut spec = json!({"name": "g", "input": "a", "reference": "b"});
        for (key, value) in more.as_object().unwrap() {
            spec[key] = value.clone();
        }
        spec
    };
    let cases = [
        (json!(["string_check", "g", "a", "b", "eq"]), "a grader as an object"),
        (
            json!({"type": "multi", "name": "m", "calculate_output": "a", "graders": {"a": ["regex", "g", "x"]}}),
            "a grader as an object",
        ),
        (
            sides(json!({"type": "math", "options": [true]})),
            "`options` as an object",
        ),
        (
            sides(json!({"type": "math", "options": {"extract": [true]}})),
            "`extract` as an object",
        ),
        (
            json!({"type": "format", "name": "g", "script": [["Latin"], 1.0]}),
            "`script` as an object",
        ),
        (
            json!({"type": "rubric", "name": "g", "model": "m", "items": [["a", "b"]]}),
            "a member of `items` as an object",
        ),
        (
            json!({"type": "score_model", "name": "g", "model": "m", "input": [["user", "x"]]}),
            "a message of `input` as an object",
        ),
        (
            json!({"type": "score_model", "name": "g", "model": "m", "input": [], "sampling_params": [0.5]}),
            "`sampling_params` as an object",
        ),
        (
            json!({"type": "code", "name": "g", "tests": [["1", "2"]]}),
            "a list (of objects for `tests`",
        ),
        (
            sides(json!({"type": "text_similarity", "evaluation_metric": "cosine"})),
            "`cosine`",
        ),
        (
            sides(json!({"type": "text_similarity", "evaluation_metric": "rouge_6"})),
            "rouge_6",
        ),
        (sides(json!({"type": "string_check", "operation": "neq"})), "neq"),
        (
            sides(json!({"type": "string_check", "operation": "eq", "pass_threshold": 1})),
            "pass_threshold",
        ),
        (
            sides(json!({"type": "string_check", "operation": "eq", "name": ""})),
            "name",
        ),
        (
            sides(json!({"type": "math", "options": {"stricter": true}})),
            "stricter",
        ),
        (sides(json!({"type": "choice", "choices": ["a", " "]})), "choices"),
        (sides(json!({"type": "python"})), "python"),
        (
            sides(json!({"type": "string_check", "operation": "ne", "reference": "{{sample.output_text}}"})),
            "may not hold the response",
        ),
        (
            json!({"type": "regex", "name": "r", "pattern": r"\w".repeat(65)}),
            "classes",
        ),
        (json!({"type": "regex", "name": "r", "pattern": "(a"}), "pattern"),
        (
            json!({"type": "regex", "name": "r", "pattern": r"(a)\1"}),
            "backreferences",
        ),
        (
            json!({"type": "regex", "name": "r", "pattern": "a)|(?:b", "full": true}),
            "pattern",
        ),
        (
            json!({"type": "regex", "name": "r", "pattern": "a".repeat(5000)}),
            "4 KiB",
        ),
        (json!({"type": "format", "name": "f"}), "no condition"),
        (json!({"type": "format", "name": "f", "tags": ["a", "a"]}), "tags"),
        (json!({"type": "format", "name": "f", "tags": ["a>"]}), "tags"),
        (
            json!({"type": "format", "name": "f", "only_tags": true, "min_chars": 1}),
            "only_tags",
        ),
        (
            json!({"type": "format", "name": "f", "min_chars": 2, "max_chars": 1}),
            "least",
        ),
        (json!({"type": "format", "name": "f", "language": "en"}), "language"),
        (
            json!({"type": "format", "name": "f", "script": {"allowed": ["Latinish"]}}),
            "pattern",
        ),
        (
            json!({"type": "format", "name": "f", "script": {"allowed": ["Latin"], "min_share": 0.0}}),
            "min_share",
        ),
        (
            json!({"type": "multi", "name": "m", "graders": {}, "calculate_output": "1"}),
            "graders",
        ),
    ];
    for (spec, why) in cases {
        let found = refusal(&spec);
        assert!(found.contains(why), "{spec}: {found}");
    }
}
