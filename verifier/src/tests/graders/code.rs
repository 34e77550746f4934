//! `code` without running anything: what is found in a response, how outputs compare, what is refused.

use serde_json::{Value, json};

use super::refusal;
use crate::grader::code::{block, output};
use crate::sandbox::{CodeMode, Sandbox, SandboxConfig};
use crate::spec::GraderSpec;
use crate::spec::code::Compare;
use crate::{Case, Fault, Scored, Verdict};

/// The score where a program could run but no launcher is there to run it.
fn score(spec: &Value, response: &str, item: &Value) -> Scored {
    let config = SandboxConfig {
        mode: CodeMode::Strict,
        python: "/no/such/python".into(),
        ..SandboxConfig::default()
    };
    let spec: GraderSpec = serde_json::from_value(spec.clone()).unwrap();
    let grader = spec.build_alone(&Sandbox::new(&config).into()).unwrap();
    grader.grade(&Case::new(response, item))
}

fn tests(tests: Value) -> Value {
    json!({"type": "code", "name": "g", "tests": tests})
}

#[test]
fn the_program_is_the_last_marked_block() {
    let cases = [
        ("no block", None),
        ("```python\na\n```", Some("a\n")),
        ("```python\na\n```\ntext\n```python\nb\n```\n", Some("b\n")),
        ("```Python3 title\na\n```", Some("a\n")),
        ("```py\na\n```\n```\noutput\n```", Some("a\n")),
        ("```\na\n```\n```bash\nb\n```", Some("a\n")),
        ("```bash\nb\n```", None),
        ("````python\n```\nx\n```\n````", Some("```\nx\n```\n")),
        ("```python\ncut off", Some("cut off")),
        ("  ```python\n  a\n  ```", Some("  a\n")),
        ("```python a``` inline\n", None),
        ("```python\ns = '```'\n```\n", Some("s = '```'\n")),
        ("```python\n```", Some("")),
        ("", None),
    ];
    for (text, expected) in cases {
        assert_eq!(block::last(text), expected, "{text:?}");
    }
}

#[test]
fn outputs_compare_as_declared() {
    use Compare::{Exact, Lines, Tokens};
    type Output = (&'static [u8], &'static str, Compare, Option<f64>, bool);
    let cases: &[Output] = &[
        (b"7\n", "7\n", Exact, None, true),
        (b"7", "7\n", Exact, None, false),
        (b"7", "7\n", Lines, None, true),
        (b"1 \r\n2\t\n\n", "1\n2", Lines, None, true),
        (b" 1", "1", Lines, None, false),
        (b"1\n\n2", "1\n2", Lines, None, false),
        (b"1 2", "1\n2", Lines, None, false),
        (b"1 2", "1\n2", Tokens, None, true),
        (b"12", "1 2", Tokens, None, false),
        (b"1", "1 1", Tokens, None, false),
        (b"", "", Lines, None, true),
        (b"", "0", Tokens, Some(0.5), false),
        (b"0.3333333", "0.33333334", Tokens, Some(1e-6), true),
        (b"0.34", "0.33", Tokens, Some(1e-6), false),
        (b"1000001", "1000000", Tokens, Some(1e-6), true),
        (b"1.0", "1", Tokens, None, false),
        (b"1.0", "1", Tokens, Some(0.0), true),
        (b"nan", "1", Tokens, Some(0.9), false),
        (b"inf", "1", Tokens, Some(0.9), false),
        (b"1", "inf", Tokens, Some(0.9), false),
        (b"yes", "no", Tokens, Some(0.9), false),
        (b"\xff", "\u{fffd}", Lines, None, false),
    ];
    for (said, wanted, compare, tolerance, expected) in cases {
        let found = output::same(said, wanted, *compare, *tolerance);
        assert_eq!(found, *expected, "{said:?} {wanted:?} {compare:?} {tolerance:?}");
    }
}

#[test]
fn a_response_without_a_program_is_a_zero() {
    let spec = tests(json!([{"stdin": "", "stdout": "7"}]));
    let cases = [
        ("7", "no_answer", Verdict::NoAnswer),
        ("```python\n \n```", "no_answer", Verdict::NoAnswer),
        (
            "<think>```python\nprint(7)\n```</think>",
            "no_answer",
            Verdict::NoAnswer,
        ),
    ];
    for (response, rule, verdict) in cases {
        let scored = score(&spec, response, &Value::Null);
        assert_eq!(
            (scored.reward, scored.rule.as_str(), scored.verdict),
            (Ok(0.0), rule, verdict),
            "{response}"
        );
    }
    let long = format!("```python\n{}\n```", "#".repeat(300 << 10));
    let scored = score(&spec, &long, &Value::Null);
    assert_eq!((scored.reward, scored.verdict), (Ok(0.0), Verdict::OverBudget));
}

#[test]
fn a_machine_that_fails_is_no_reward() {
    let scored = score(
        &tests(json!([{"stdout": "7"}])),
        "```python\nprint(7)\n```",
        &Value::Null,
    );
    assert!(matches!(scored.reward, Err(Fault::Sandbox(_))), "{scored:?}");
    assert_eq!(scored.verdict, Verdict::Infrastructure);
}

#[test]
fn tests_of_a_row_are_read_in_every_shape_or_are_a_fault() {
    let spec = tests(json!("{{ item.tests }}"));
    let readable = [
        json!([{"stdin": "1", "stdout": "2"}]),
        json!([{"input": "1", "output": "2"}]),
        json!("[{\"input\": \"1\", \"output\": \"2\"}]"),
        json!({"inputs": ["1"], "outputs": ["2"]}),
        json!({"inputs": [["1", "2"]], "outputs": ["2"]}),
        json!([{"stdout": "2"}]),
    ];
    // What is read shows by how far it gets: to the Python that is not there.
    for tests in readable {
        let scored = score(&spec, "```python\nx\n```", &json!({"tests": tests}));
        assert!(matches!(scored.reward, Err(Fault::Sandbox(_))), "{tests}: {scored:?}");
    }
    let unreadable = [
        json!({"tests": []}),
        json!({"tests": "no json"}),
        json!({"tests": [{"stdin": "1"}]}),
        json!({"tests": {"inputs": ["1"], "outputs": []}}),
        json!({"tests": vec![json!({"stdout": ""}); 1001]}),
        json!({"tests": null}),
        json!({}),
    ];
    // Also where there is no program: the row's fault does not depend on the response.
    for item in unreadable {
        let scored = score(&spec, "no program", &item);
        assert!(
            matches!(scored.reward, Err(Fault::Tests(_) | Fault::Missing { .. })),
            "{scored:?}"
        );
    }
}

#[test]
fn specifications_that_cannot_be_run_are_refused() {
    let some = json!([{"stdout": "7"}]);
    let cases = [
        (json!({"type": "code", "name": "g"}), "`tests` or `asserts`"),
        (
            json!({"type": "code", "name": "g", "tests": some, "asserts": ["x"], "entry": ["f"]}),
            "`tests` or `asserts`",
        ),
        (json!({"type": "code", "name": "g", "asserts": ["x"]}), "`entry`"),
        (
            json!({"type": "code", "name": "g", "tests": some, "entry": ["f"]}),
            "go with `asserts`",
        ),
        (
            json!({"type": "code", "name": "g", "tests": some, "tolerance": 0.1}),
            "`tolerance`",
        ),
        (
            json!({"type": "code", "name": "g", "tests": some, "compare": "tokens", "tolerance": 1.0}),
            "`tolerance`",
        ),
        (
            json!({"type": "code", "name": "g", "tests": some, "cpu_ms": 9}),
            "`cpu_ms`",
        ),
        (
            json!({"type": "code", "name": "g", "tests": some, "memory_mb": 1}),
            "`memory_mb`",
        ),
        (
            json!({"type": "code", "name": "g", "tests": "{{ sample.output_text }}"}),
            "may not hold the response",
        ),
        (
            json!({"type": "code", "name": "g", "tests": some, "language": "c"}),
            "unknown field `language`",
        ),
    ];
    for (spec, expected) in cases {
        let refused = match serde_json::from_value::<GraderSpec>(spec.clone()) {
            Ok(spec) => spec.check().unwrap_err().to_string(),
            Err(error) => error.to_string(),
        };
        assert!(refused.contains(expected), "{spec}: {refused}");
    }
}

#[test]
fn programs_do_not_run_unless_they_may() {
    let code = tests(json!([{"stdout": "7"}]));
    let formula = json!({"type": "multi", "name": "m", "graders": {"c": code}, "calculate_output": "c"});
    for spec in [&code, &formula] {
        assert!(refusal(spec).contains("not run here"), "{spec}");
        let spec: GraderSpec = serde_json::from_value(spec.clone()).unwrap();
        assert!(spec.runs_code() && spec.check().is_ok());
    }
    let other: GraderSpec = serde_json::from_value(json!({"type": "regex", "name": "g", "pattern": "x"})).unwrap();
    assert!(!other.runs_code());
}
