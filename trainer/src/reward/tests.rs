use serde_json::json;
use svs_verifier::sandbox::{CodeMode, SandboxConfig};

use super::*;

fn pattern(name: &str, pattern: &str) -> Value {
    json!({"type": "regex", "name": name, "pattern": pattern})
}

fn reward(grader: Option<Value>, pass_threshold: f64) -> Reward {
    let config = RewardConfig {
        pass_threshold,
        grader: grader.map(|grader| read_grader(&grader).expect("a grader")),
        ..RewardConfig::default()
    };
    config.validate().expect("valid");
    Reward::new(&config, false).expect("a reward")
}

fn problem(grader: Option<Value>) -> Problem {
    let row = json!({"question": "raw", "answer": "#### 4", "label": "four"});
    Problem {
        id: "p".into(),
        question: "2 + 2?".into(),
        answer: "4".into(),
        grader: grader.map(|grader| Box::new(read_grader(&grader).expect("a grader"))),
        row: row.as_object().cloned().map(Box::new),
        ..Problem::default()
    }
}

fn graded(reward: &Reward, problem: &Problem, response: &str) -> (String, Verdict, Option<f64>) {
    let task = Task::of(problem);
    let finding = reward.judge(&task).grade(response, &task);
    (finding.grader, finding.verdict, finding.reward)
}

#[test]
fn the_problems_grader_comes_before_the_runs_and_that_before_mathematics() {
    let cases = [
        (None, None, "\\boxed{4}", "math", Some(1.0)),
        (None, None, "five", "math", Some(0.0)),
        (Some(pattern("run", "four")), None, "four", "run", Some(1.0)),
        (Some(pattern("run", "four")), None, "\\boxed{4}", "run", Some(0.0)),
        (
            Some(pattern("run", "four")),
            Some(pattern("own", "vier")),
            "vier",
            "own",
            Some(1.0),
        ),
        (None, Some(pattern("own", "vier")), "\\boxed{4}", "own", Some(0.0)),
    ];
    for (run, own, response, grader, expected) in cases {
        let found = graded(&reward(run, 1.0), &problem(own), response);
        assert_eq!((found.0.as_str(), found.2), (grader, expected), "{response}");
    }
}

#[test]
fn templates_see_the_row_with_the_problem_as_it_was_read() {
    let same = |reference: &str| {
        json!({"type": "string_check", "name": "same", "operation": "eq",
            "input": "{{ sample.output_text }}", "reference": reference})
    };
    let cases = [
        ("{{ item.label }}", "four", Some(1.0)),
        ("{{ item.answer }}", "#### 4", Some(1.0)),
        ("{{ item.reference }}", "4", Some(1.0)),
        ("{{ item.question }}", "2 + 2?", Some(1.0)),
        ("{{ item.id }}", "p", Some(1.0)),
        ("{{ item.nothing }}", "4", None),
    ];
    for (reference, response, expected) in cases {
        let found = graded(&reward(Some(same(reference)), 1.0), &problem(None), response);
        assert_eq!(found.2, expected, "{reference}");
        assert_eq!(found.1 == Verdict::Infrastructure, expected.is_none(), "{reference}");
    }
}

#[test]
fn a_reward_passes_at_the_threshold_and_keeps_its_value() {
    let alike = json!({"type": "text_similarity", "name": "alike", "evaluation_metric": "fuzzy_match",
        "input": "{{ sample.output_text }}", "reference": "{{ item.label }}"});
    let cases = [
        (1.0, "four", Verdict::Correct, 1.0),
        (1.0, "foul", Verdict::Wrong, 0.75),
        (0.75, "foul", Verdict::Correct, 0.75),
        (0.76, "foul", Verdict::Wrong, 0.75),
    ];
    for (threshold, response, verdict, expected) in cases {
        let found = graded(&reward(Some(alike.clone()), threshold), &problem(None), response);
        assert_eq!(
            (found.1, found.2),
            (verdict, Some(expected)),
            "{response} at {threshold}"
        );
    }
}

#[test]
fn what_a_response_lacks_is_told_apart() {
    let schema = json!({"type": "json_schema", "name": "shape", "schema": {"type": "object"}});
    let choice = json!({"type": "choice", "name": "letter", "reference": "B"});
    let cases = [
        (Some(schema.clone()), "{}", Verdict::Correct),
        (Some(schema.clone()), "[]", Verdict::Wrong),
        (Some(schema), "no", Verdict::Unparseable),
        (Some(choice.clone()), "The answer is B.", Verdict::Correct),
        (Some(choice), "", Verdict::NoAnswer),
        (Some(pattern("long", "x")), &"y".repeat(2 << 20), Verdict::OverBudget),
        (None, "", Verdict::NoAnswer),
    ];
    for (grader, response, expected) in cases {
        let found = graded(&reward(grader, 1.0), &problem(None), response);
        let shown: String = response.chars().take(20).collect();
        assert_eq!(found.1, expected, "{shown:?}");
    }
}

#[test]
fn nothing_to_compare_with_is_no_reward() {
    let task = Task {
        reference: None,
        grader: None,
        item: Value::Null,
    };
    let finding = reward(None, 1.0).judge(&task).grade("\\boxed{4}", &task);
    assert_eq!((finding.verdict, finding.reward), (Verdict::Infrastructure, None));
}

#[test]
fn specifications_that_cannot_be_used_are_refused_with_the_field() {
    let cases = [
        (json!("no json"), "expected ident"),
        (json!({"type": "regex", "name": "g"}), "missing field `pattern`"),
        (pattern("", "x"), "name"),
        (pattern("g", "("), "pattern"),
        (Value::String(pattern("g", "(").to_string()), "pattern"),
        (
            json!({"type": "score_model", "name": "g", "model": "m"}),
            "missing field `input`",
        ),
    ];
    for (grader, expected) in cases {
        let reason = read_grader(&grader).expect_err("refused");
        assert!(reason.contains(expected), "{grader}: {reason}");
    }
}

#[test]
fn programs_run_where_the_configuration_lets_them_and_never_for_a_request() {
    let code = json!({"type": "code", "name": "g", "tests": [{"stdout": "7"}]});
    let spec = read_grader(&code).expect("well-formed");
    let config = |mode| RewardConfig {
        grader: Some(spec.clone()),
        code: SandboxConfig {
            mode,
            python: "/no/such/python".into(),
            ..SandboxConfig::default()
        },
        ..RewardConfig::default()
    };
    let (off, strict) = (config(CodeMode::Off), config(CodeMode::Strict));
    assert!(off.validate().is_err_and(|(key, _)| key == "reward.grader"));
    assert_eq!(strict.validate(), Ok(()));
    let client = [code.clone(), Value::String(code.to_string())];
    for brought in &client {
        assert!(read_client_grader(brought).is_err_and(|why| why.contains("runs programs")));
    }
    assert!(read_client_grader(&pattern("g", "x")).is_ok());

    // Better no run than one in which every rollout is masked.
    let own = RewardConfig {
        grader: None,
        ..off.clone()
    };
    let problems = [problem(None), problem(Some(code))];
    let refused = Reward::new(&own, false).expect("math").prepare(&own, &problems);
    assert!(refused.is_err_and(|why| why.contains("problem `p`") && why.contains("not run here")));
    let refused = Reward::new(&strict, false).expect("code").prepare(&strict, &[]);
    assert!(refused.is_err_and(|why| why.contains("no Python")));
    assert_eq!(
        Reward::new(&own, false).expect("math").prepare(&own, &problems[..1]),
        Ok(())
    );
}
