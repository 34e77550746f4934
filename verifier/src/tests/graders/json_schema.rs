//! Schemas against the jsonschema package, and what is refused.

use serde_json::{Value, json};

use super::{refusal, score};

#[derive(serde::Deserialize)]
struct Golden {
    cases: Vec<Row>,
}

#[derive(serde::Deserialize)]
struct Row {
    schema: Value,
    values: Vec<Judged>,
}

#[derive(serde::Deserialize)]
struct Judged {
    value: Value,
    accepted: bool,
}

fn spec(schema: &Value) -> Value {
    json!({"type": "json_schema", "name": "s", "schema": schema})
}

#[test]
fn values_are_judged_as_by_the_reference_implementation() {
    let golden: Golden = serde_json::from_str(include_str!("../../../../tests/data/golden/json_schema.json"))
        .expect("the fixture parses");
    let mut wrong = Vec::new();
    for row in &golden.cases {
        for judged in &row.values {
            let scored = score(&spec(&row.schema), &judged.value.to_string(), &json!({}));
            if scored.reward != Ok(f64::from(u8::from(judged.accepted))) {
                wrong.push(format!("{} by {}: {scored:?}", judged.value, row.schema));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_is_not_checked_is_refused_by_name() {
    let cases = [
        (json!({"format": "email"}), "`format` is not checked"),
        (
            json!({"properties": {"a": {"unevaluatedProperties": false}}}),
            "\"/properties/a\"",
        ),
        (json!({"items": [{}]}), "`items` wants a schema"),
        (json!({"multipleOf": 0.1}), "`multipleOf` wants a whole number"),
        (json!({"pattern": "(?=a)"}), "look-around"),
        (json!({"pattern": r"(\w{100}){100}"}), "256 KiB"),
        (json!({"type": "int"}), "`type` wants"),
        (json!({"$ref": "#/$defs/a"}), "leads to no schema"),
        (json!({"$ref": "https://example.com/a"}), "stays in the schema"),
        (
            json!({"$ref": "#/const", "const": {"type": "string"}}),
            "leads to no schema",
        ),
        (json!({"$ref": "#"}), "for ever"),
        (json!({"anyOf": [{"not": {"$ref": "#/anyOf/0"}}]}), "for ever"),
        (json!({"$schema": "http://json-schema.org/draft-07/schema#"}), "2020-12"),
        (json!([]), "a schema is an object"),
    ];
    for (schema, why) in cases {
        let found = refusal(&spec(&schema));
        assert!(found.contains(why), "{schema}: {found}");
    }
}

#[test]
fn text_that_is_no_json_earns_nothing() {
    for text in ["", "{", "{} {}", "```json\n{}\n```", "NaN", "{'a': 1}", "\u{feff}{}"] {
        let scored = score(&spec(&json!({})), text, &json!({}));
        assert_eq!((scored.reward, scored.rule.as_str()), (Ok(0.0), "not_json"), "{text:?}");
    }
}
