//! The grader that specifications call `quality`.

use serde_json::{Value, json};

use crate::quality::{Instance, TASKS, problem};
use crate::spec::GraderSpec;
use crate::{Case, Scored, Verdict};

fn grade(row: &Value, response: &str) -> Scored {
    let spec: GraderSpec = serde_json::from_value(row["grader"].clone()).expect("a grader");
    spec.build().expect("built").grade(&Case::new(response, row))
}

#[test]
fn a_generated_problem_is_graded_by_its_own_row() {
    for task in TASKS {
        let row = problem(task, 12, 3).expect("a problem");
        let instance: Instance = serde_json::from_value(row["instance"].clone()).expect("an instance");
        let answer = instance.reference().expect("an answer");
        let scored = grade(&row, &format!("<think>[9]</think>I take {answer:?}."));
        assert_eq!((scored.reward, scored.verdict), (Ok(1.0), Verdict::Correct), "{task}");
        let none = grade(&row, "I do not know.");
        assert_eq!((none.reward, none.verdict), (Ok(0.0), Verdict::NoAnswer), "{task}");
        let wrong = grade(&row, "[999]");
        assert_eq!((wrong.reward, wrong.rule.as_str()), (Ok(0.0), "infeasible"), "{task}");
    }
    assert!(problem("chess", 12, 3).is_none());
}

#[test]
fn a_worse_answer_earns_its_share_and_a_broken_row_is_a_fault() {
    let mut row = json!({
        "reference": 19,
        "instance": {"task": "knapsack", "capacity": 10, "items": [[5, 10], [6, 12], [5, 9]]},
        "grader": {"type": "quality", "name": "q"},
    });
    let scored = grade(&row, "[1]");
    assert_eq!((scored.reward, scored.verdict), (Ok(12.0 / 19.0), Verdict::Wrong));
    row["reference"] = json!(18);
    let scored = grade(&row, "[0, 2]");
    let found = (scored.reward, scored.rule.as_str());
    assert_eq!(found, (Ok(1.0), "better_than_reference"), "no more than 1, but told");
    for (key, value) in [
        ("reference", json!(0)),
        ("reference", json!("many")),
        ("reference", Value::Null),
        ("instance", json!({"task": "chess"})),
        (
            "instance",
            json!({"task": "knapsack", "capacity": 1, "items": [[2, 1]]}),
        ),
    ] {
        let good = row[key].clone();
        row[key] = value;
        assert!(grade(&row, "[1]").reward.is_err(), "{row}");
        row[key] = good;
    }
}

#[test]
fn hostile_answers_are_worth_0_and_never_a_fault() {
    let cases = [
        ("[4294967295]".to_owned(), "infeasible"),
        ("[4294967296]".to_owned(), "no_answer"),
        ("[0, 0]".to_owned(), "infeasible"),
        ("[-1]".to_owned(), "no_answer"),
        ("[]".to_owned(), "infeasible"),
        ("]".repeat(1 << 20), "no_answer"),
        (format!("{}[1]", "[]".repeat(500_000)), "no_answer"),
        ("[".repeat(1 << 20), "no_answer"),
        ("\\]".repeat(400_000), "no_answer"),
        (format!("[{}0]", "0,".repeat(257)), "no_answer"),
        (format!("[{}0]", "0,".repeat(250)), "infeasible"),
        (format!("[{}0]", "0,".repeat(500_000)), "no_answer"),
        (format!("[{}0]", "0,".repeat(600_000)), "response_too_long"),
        (format!("[{}]", "9".repeat(1 << 19)), "no_answer"),
        ("\u{202e}[\u{0}1\u{feff}]".to_owned(), "no_answer"),
    ];
    for task in TASKS {
        for size in [4, 256] {
            let row = problem(task, size, 1).expect("a problem");
            for (response, rule) in &cases {
                let scored = grade(&row, response);
                let shown: String = response.chars().take(12).collect();
                assert!(scored.reward.is_ok(), "{task} {size} {shown}: {scored:?}");
                assert_eq!(
                    (scored.reward, scored.rule.as_str()),
                    (Ok(0.0), *rule),
                    "{task} {size} {shown}"
                );
                assert!(scored.steps <= 200_000);
            }
        }
    }
}

#[test]
fn a_specification_may_not_put_the_response_in_the_place_of_the_reference() {
    for key in ["instance", "reference"] {
        let mut spec = json!({"type": "quality", "name": "q"});
        spec[key] = json!("{{ sample.output_text }}");
        let spec: GraderSpec = serde_json::from_value(spec).expect("a grader");
        assert!(spec.build().is_err(), "{key}");
    }
}
