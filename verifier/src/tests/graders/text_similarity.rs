//! Measures against their reference implementations.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::score;
use crate::Fault;
use crate::similarity::stem::stem;

#[derive(serde::Deserialize)]
struct Golden {
    cases: Vec<Pair>,
    stems: BTreeMap<String, String>,
}

fn golden() -> Golden {
    let text = include_str!("../../../../tests/data/golden/similarity.json");
    serde_json::from_str(text).expect("the fixture parses")
}

#[derive(serde::Deserialize)]
struct Pair {
    input: String,
    reference: String,
    measures: Map<String, Value>,
}

#[test]
fn measures_are_those_of_the_reference_implementations() {
    let mut compared = 0;
    for case in &golden().cases {
        for (metric, expected) in &case.measures {
            let expected = expected.as_f64().unwrap();
            let spec = json!({"type": "text_similarity", "name": "s", "evaluation_metric": metric,
                "input": "{{ sample.output_text }}", "reference": "{{ item.reference }}"});
            let scored = score(&spec, &case.input, &json!({"reference": case.reference}));
            match scored.reward {
                Ok(found) => {
                    let close = (found - expected).abs() <= 1e-12 * expected.abs();
                    assert!(close, "{metric} of {:?}: {found}, not {expected}", case.input);
                    compared += 1;
                }
                // No text is like a reference that is too short.
                Err(fault) => assert!(
                    fault == Fault::Empty && expected < 1e-100,
                    "{metric}: {fault}, {expected}"
                ),
            }
        }
    }
    assert!(compared > 200, "only {compared} values compared");
}

#[test]
fn stems_are_porters() {
    let stems = golden().stems;
    assert!(stems.len() > 90, "only {}", stems.len());
    for (word, expected) in stems {
        assert_eq!(stem(&word), expected, "{word}");
    }
}

#[test]
fn a_reference_that_no_text_is_like_is_a_fault() {
    let cases = [
        ("fuzzy_match", "", "a"),
        ("bleu", "one two three", "one two three four"),
        ("rouge_2", "one", "one two"),
        ("rouge_l", "日本", "one"),
        ("meteor", " ", "one"),
        ("cosine_words", "-_-", "one"),
    ];
    for (metric, short, enough) in cases {
        let spec = json!({"type": "text_similarity", "name": "s", "evaluation_metric": metric,
            "input": "{{ sample.output_text }}", "reference": "{{ item.r }}"});
        assert_eq!(
            score(&spec, "one", &json!({"r": short})).reward,
            Err(Fault::Empty),
            "{metric}"
        );
        assert!(score(&spec, "one", &json!({"r": enough})).reward.is_ok(), "{metric}");
    }
}
