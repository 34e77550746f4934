//! Every grader on any response: a reward in [0, 1] or a fault, within the steps, the same twice.

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::spec::GraderSpec;
use crate::{Case, Fault, Grader};

/// One of each grader, alone and combined.
fn graders() -> Vec<Box<dyn Grader>> {
    let similar = |metric: &str| {
        json!({"type": "text_similarity", "name": "g", "evaluation_metric": metric,
            "input": "{{ sample.output_text }}", "reference": "{{ item.text }}"})
    };
    let alone = [
        json!({"type": "string_check", "name": "g", "operation": "ilike", "input": "{{ sample.full_text }}", "reference": "{{ item.gold }}"}),
        similar("fuzzy_match"),
        similar("bleu"),
        similar("gleu"),
        similar("rouge_3"),
        similar("rouge_l"),
        json!({"type": "math", "name": "g", "reference": "{{ item.gold }}"}),
        json!({"type": "choice", "name": "g", "reference": "B", "choices": ["x", "y"]}),
        json!({"type": "regex", "name": "g", "pattern": r"(\w+\s?)*(a|b|ab)*c$"}),
        json!({"type": "json_schema", "name": "g", "schema": {"uniqueItems": true, "items": {"$ref": "#"}}}),
        json!({"type": "format", "name": "g", "tags": ["a"], "script": {"allowed": ["Latin"]}}),
        json!({"type": "quality", "name": "g", "instance": "{{ item.sack }}", "reference": "19"}),
    ];
    let parts: serde_json::Map<String, Value> = alone
        .iter()
        .enumerate()
        .map(|(at, spec)| (format!("g{at}"), spec.clone()))
        .collect();
    let sum: Vec<&str> = parts.keys().map(String::as_str).collect();
    let multi = json!({"type": "multi", "name": "m", "calculate_output": format!("({}) / 12", sum.join("+")), "graders": parts});
    let build = |spec: &Value| {
        serde_json::from_value::<GraderSpec>(spec.clone())
            .unwrap()
            .build()
            .unwrap()
    };
    alone.iter().chain([&multi]).map(build).collect()
}

fn item() -> Value {
    let sack = json!({"task": "knapsack", "capacity": 10, "items": [[5, 10], [6, 12], [5, 9]]});
    json!({"gold": "5", "sack": sack, "text": "The quick brown fox jumps over the lazy dog."})
}

fn check(response: &str, max_steps: u64) {
    let item = item();
    for grader in graders() {
        let case = Case {
            response,
            item: &item,
            max_steps,
        };
        let scored = grader.grade(&case);
        let in_range = scored
            .reward
            .as_ref()
            .map_or(true, |reward| (0.0..=1.0).contains(reward));
        assert!(in_range && scored.steps <= max_steps, "{grader:?}: {scored:?}");
        assert_eq!(grader.grade(&case), scored);
        if max_steps == Case::new("", &item).max_steps {
            assert!(
                scored.reward.is_ok(),
                "no response makes a fault: {grader:?}: {scored:?}"
            );
        }
    }
}

#[test]
fn long_and_hostile_responses_end_within_the_steps() {
    let cases = [
        "a".repeat(1 << 20),
        "a ".repeat(2 << 20),
        "[".repeat(100_000),
        format!("[{}1]", "1,".repeat(200_000)),
        format!("[{}1{}]", "[".repeat(120), "]".repeat(120)),
        "ab".repeat(100_000) + "!",
        "<a>".repeat(50_000) + &"</a>".repeat(50_000),
        "\u{202e}\0\u{feff}<think>".repeat(1000),
        "\\boxed{".repeat(20_000),
        "日".repeat(300_000),
    ];
    for response in cases {
        check(&response, 200_000);
    }
}

#[test]
fn a_reference_too_long_for_the_measure_is_a_fault_whatever_the_response() {
    let spec = json!({"type": "text_similarity", "name": "g", "evaluation_metric": "fuzzy_match",
        "input": "{{ sample.output_text }}", "reference": "{{ item.text }}"});
    let grader = serde_json::from_value::<GraderSpec>(spec).unwrap().build().unwrap();
    let item = json!({"text": "ab".repeat(20_000)});
    for response in ["", "ab", &"ab".repeat(20_000)] {
        assert_eq!(grader.grade(&Case::new(response, &item)).reward, Err(Fault::TooLong));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_response_has_a_reward(response in "\\PC{0,200}") {
        check(&response, 200_000);
    }

    #[test]
    fn any_number_of_steps_is_kept(response in "[ a-c<>/{}\\[\\]\"0-9,:]{0,200}", steps in 50u64..400) {
        check(&response, steps);
    }
}
