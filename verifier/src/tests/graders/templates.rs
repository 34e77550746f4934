//! Templates: what they resolve to, whose fault it is where they do not.

use serde_json::json;

use super::{refusal, score};
use crate::Scored;

/// The grade of a template against a text.
fn resolves(template: &str, reference: &str, response: &str) -> Scored {
    let spec =
        json!({"type": "string_check", "name": "t", "operation": "eq", "input": template, "reference": reference});
    let item = json!({"a": "x", "n": 1.5, "list": [{"b": "{{ item.a }}"}], "t": true, "null": null, "k-1": "k"});
    score(&spec, response, &item)
}

#[test]
fn values_are_looked_up_and_never_run() {
    let cases = [
        ("{{ item.a }}", "x"),
        ("{{item.a}}-{{ item.n }}", "x-1.5"),
        ("{{ item.list[0].b }}", "{{item.a}}"),
        ("{{ item.list }}", r#"[{"b":"{{ item.a }}"}]"#),
        ("{{ item.t }}{{ item.k-1 }}", "truek"),
        ("{{ sample.output_text }}", r#"{"p": [10, "q"]}"#),
        ("{{ sample.full_text }}", "<think>no</think>{\"p\": [10, \"q\"]}"),
        ("{{ sample.output_json.p[1] }}", "q"),
        ("{{ sample.output_json }}", r#"{"p":[10,"q"]}"#),
        ("a } b", "a } b"),
    ];
    for (template, expected) in cases {
        // The reference is a template too: braces in it stand in the item.
        let spec = json!({"type": "string_check", "name": "t", "operation": "eq", "input": template, "reference": "{{ item.expected }}"});
        let expected = expected.replace("{{item.a}}", "{{ item.a }}");
        let item =
            json!({"a": "x", "n": 1.5, "list": [{"b": "{{ item.a }}"}], "t": true, "k-1": "k", "expected": expected});
        let scored = score(&spec, "<think>no</think>{\"p\": [10, \"q\"]}", &item);
        assert_eq!(scored.reward, Ok(1.0), "{template}: {scored:?}");
    }
}

#[test]
fn a_missing_value_is_a_fault_of_the_row_and_broken_json_of_the_response() {
    for template in [
        "{{ item.zzz }}",
        "{{ item.null }}",
        "{{ item.list[7] }}",
        "{{ item.a.b }}",
    ] {
        assert!(resolves(template, "x", "x").reward.is_err(), "{template}");
        assert!(resolves("x", template, "x").reward.is_err(), "{template}");
    }
    for response in ["", "no json", "{}", "{\"p\":[]}", &"[".repeat(100_000)] {
        let scored = resolves("{{ sample.output_json.p[0] }}", "x", response);
        assert_eq!(scored.reward, Ok(0.0), "{scored:?}");
    }
}

#[test]
fn reasoning_is_no_output() {
    for (response, expected) in [("<think>x</think> y", " y"), ("<think>x", ""), ("y", "y")] {
        let spec = json!({"type": "string_check", "name": "t", "operation": "ne", "input": "{{ sample.output_text }}", "reference": expected});
        assert_eq!(score(&spec, response, &json!({})).reward, Ok(0.0), "{response}");
    }
}

#[test]
fn other_templates_are_refused() {
    let long = "{{ item".to_owned() + &".a".repeat(20) + " }}";
    let many = "{{ item.a }}".repeat(100);
    let cases = [
        "{{ item.a",
        "{{ }}",
        "{{ item }}",
        "{{ sample }}",
        "{{ sample.output_tools }}",
        "{{ sample.output_text.a }}",
        "{{ sample.choices }}",
        "{{ env.HOME }}",
        "{{ item.a | upper }}",
        "{{ item.a() }}",
        "{{ item[0] }}",
        "{{ item.a[-1] }}",
        "{{ item.a[0 }}",
        "{{ item..a }}",
        "{{ 7*7 }}",
        long.as_str(),
        many.as_str(),
    ];
    for template in cases {
        let spec = json!({"type": "string_check", "name": "t", "operation": "eq", "input": template, "reference": "x"});
        let found = refusal(&spec);
        assert!(found.starts_with("template "), "{template}: {found}");
    }
}
