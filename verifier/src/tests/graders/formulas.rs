//! Formulas: their values, and what is refused before any reward is known.

use serde_json::{Value, json};

use super::{refusal, score};

/// A `multi` whose graders `a` and `b` give what the item says by similarity: 1 for "x" against "x".
fn spec(formula: &str) -> Value {
    let grader = |reference: &str| {
        json!({"type": "text_similarity", "name": "s", "evaluation_metric": "fuzzy_match",
            "input": "{{ sample.output_text }}", "reference": reference})
    };
    json!({"type": "multi", "name": "m", "calculate_output": formula,
        "graders": {"a": grader("{{ item.a }}"), "b": grader("{{ item.b }}")}})
}

#[test]
fn formulas_have_the_value_of_arithmetic() {
    // The response is "xy": a = fuzzy("xy", "xy") = 1, b = fuzzy("xy", "xz") = 0.5.
    let cases = [
        ("0.5*a+0.5*b", 0.75),
        ("a - b - 0.25", 0.25),
        ("a / (b + 1) / 2", 1.0 / 3.0),
        ("-b^2 + a", 0.75),
        ("2^-a * b^0", 0.5),
        ("(a+b)/2^3^0", 0.75),
        ("min(a, b, 0.25) + max(a*0, b*0, 0.5)", 0.75),
        ("abs(b - a) * sqrt(a) * .5", 0.25),
        ("floor(b) + ceil(b) - a*b", 0.5),
        ("exp(log(b + 1)) - a", 0.5),
        ("a + b", 1.0),
        ("-a - b", 0.0),
        ("(b - a)^2 * 1.", 0.25),
        ("+a * - - b", 0.5),
        (" a*b ", 0.5),
    ];
    for (formula, expected) in cases {
        let scored = score(&spec(formula), "xy", &json!({"a": "xy", "b": "xz"}));
        let found = scored.reward.unwrap();
        assert!((found - expected).abs() < 1e-12, "{formula}: {found}, not {expected}");
        assert_eq!((scored.parts["a"], scored.parts["b"]), (1.0, 0.5));
    }
}

#[test]
fn formulas_without_a_value_for_some_rewards_are_refused() {
    let deep = format!("{}a{} + b", "(".repeat(40), ")".repeat(40));
    let long = format!("a + b{}", " + a".repeat(1000));
    let cases = [
        ("a / b", "may have no value"),
        ("a + log(b)", "may have no value"),
        ("a + sqrt(b - 0.5)", "may have no value"),
        ("a + (b - 0.5)^0.5", "may have no value"),
        ("a^-1 + b", "may have no value"),
        ("a + b + exp(1000)", "may have no value"),
        ("a", "`b` is not used"),
        ("a + b + c", "`c` is neither"),
        ("a + b)", "unexpected `)`"),
        ("(a + b", "`)` expected"),
        ("a b", "unexpected `b`"),
        ("a +", "ends where"),
        ("", "ends where"),
        ("a + b + 1.2.3", "no number"),
        ("a % b", "unexpected `%`"),
        ("min(a) + b", "`,` expected"),
        ("__import__('os') + a + b", "neither"),
        (deep.as_str(), "nested deeper"),
        (long.as_str(), "longer than"),
    ];
    for (formula, why) in cases {
        let found = refusal(&spec(formula));
        assert!(found.contains(why), "{formula}: {found}");
    }
}

#[test]
fn a_fault_of_a_part_is_a_fault_and_other_parts_keep_their_rewards() {
    let scored = score(&spec("a + b"), "xy", &json!({"a": "xy"}));
    let fault = scored.reward.unwrap_err().to_string();
    assert_eq!(fault, "grader `b`: item.b is missing");
    assert_eq!(scored.parts.len(), 1);
}

#[test]
fn names_that_a_formula_cannot_say_are_refused() {
    for (name, why) in [
        ("min", "cannot name"),
        ("1a", "cannot name"),
        ("a-b", "cannot name"),
        ("", "cannot name"),
    ] {
        let mut multi = spec("a + b");
        let grader = multi["graders"]["a"].clone();
        multi["graders"][name] = grader;
        assert!(refusal(&multi).contains(why), "{name}");
    }
    let mut nested = spec("a + b");
    nested["graders"]["a"] = spec("a + b");
    assert!(refusal(&nested).contains("`multi` in a `multi`"));
}
