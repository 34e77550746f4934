use super::*;

#[test]
fn bad_lines_are_reported_and_the_others_graded() {
    let input = concat!(
        "{\"id\": 1, \"prediction\": \"it is \\\\boxed{4}\", \"gold\": \"4\"}\n",
        "{\"id\": 2, \"prediction\": 3}\n",
        "\n",
        "not json\n",
        "{\"id\": \"b\", \"prediction\": \"\\\\boxed{5}\", \"gold\": \"4\"}",
    );
    let (mut output, mut errors) = (Vec::new(), Vec::new());
    let grading = Grading {
        options: &MathOptions::default(),
        grader: None,
        explain: false,
        threads: 2,
        progress: ProgressBar::hidden(),
    };
    let summary = grading
        .run(input.as_bytes(), &mut output, &mut errors, "in.jsonl")
        .unwrap();
    assert_eq!(summary.to_string(), "2 graded, 1 correct, 1 wrong; 2 lines not read");
    let errors = String::from_utf8(errors).unwrap();
    assert!(
        errors.contains("in.jsonl:2: ") && errors.contains("in.jsonl:4: "),
        "{errors}"
    );
    let rows: Vec<serde_json::Value> = String::from_utf8(output)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(rows.len(), 2);
    assert_eq!(
        (&rows[0]["id"], &rows[0]["correct"], &rows[0]["extracted"]),
        (&1.into(), &true.into(), &"4".into())
    );
    assert_eq!((&rows[1]["id"], &rows[1]["verdict"]), (&"b".into(), &"wrong".into()));
    let keys: Vec<&str> = rows[0].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(
        keys,
        ["id", "correct", "verdict", "extracted", "micros", "steps", "rule"]
    );
}

#[test]
fn explanations_show_both_readings() {
    let input = "{\"id\": 1, \"prediction\": \"it is \\\\boxed{2+2}\", \"gold\": \"4\"}";
    let mut output = Vec::new();
    let grading = Grading {
        options: &MathOptions::default(),
        grader: None,
        explain: true,
        threads: 1,
        progress: ProgressBar::hidden(),
    };
    grading
        .run(input.as_bytes(), &mut output, &mut Vec::new(), "in.jsonl")
        .unwrap();
    let row: serde_json::Value = serde_json::from_slice(&output).unwrap();
    assert_eq!(row["explanation"]["answer"]["parse"], "(+ 2 2)");
    assert_eq!(row["explanation"]["found_by"], "box");
}

#[test]
fn a_specified_grader_gives_rewards_and_faults() {
    let spec = r#"{"type": "string_check", "name": "g", "operation": "eq",
        "input": "{{ sample.output_text }}", "reference": "{{ item.label }}"}"#;
    let grader = serde_json::from_str::<GraderSpec>(spec).unwrap().build().unwrap();
    let input = concat!(
        "{\"id\": 1, \"prediction\": \"<think>no</think>a\", \"label\": \"a\"}\n",
        "{\"id\": 2, \"prediction\": \"b\", \"label\": \"a\"}\n",
        "{\"id\": 3, \"prediction\": \"b\"}\n",
        "{\"id\": 4, \"label\": \"a\"}\n",
    );
    let grading = Grading {
        options: &MathOptions::default(),
        grader: Some(&*grader),
        explain: false,
        threads: 2,
        progress: ProgressBar::hidden(),
    };
    let (mut output, mut errors) = (Vec::new(), Vec::new());
    let summary = grading
        .run(input.as_bytes(), &mut output, &mut errors, "in.jsonl")
        .unwrap();
    assert_eq!(
        summary.to_string(),
        "3 graded, 1 fault, 1 no_reward, 1 rewarded; 1 lines not read"
    );
    let rows: Vec<serde_json::Value> = String::from_utf8(output)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!((&rows[0]["reward"], &rows[1]["reward"]), (&1.0.into(), &0.0.into()));
    assert_eq!(
        (&rows[2]["reward"], &rows[2]["fault"]),
        (&serde_json::Value::Null, &"item.label is missing".into())
    );
}

#[test]
fn graders_come_from_files_or_from_the_command_line_and_bad_ones_are_refused_with_the_field() {
    let folder = tempfile::tempdir().unwrap();
    let good = r#"{"type": "regex", "name": "number", "pattern": "[0-9]"}"#;
    let file = folder.path().join("grader.json");
    fs::write(&file, good).unwrap();
    let read = |given: &str| crate::cli::shared::grader_spec(given);
    assert_eq!(read(good).unwrap(), read(file.to_str().unwrap()).unwrap());
    for (given, field) in [
        ("no-such-file.json", "cannot read no-such-file.json"),
        (r#"{"type": "regex", "name": "g"}"#, "missing field `pattern`"),
        (r#"{"type": "regex", "name": "g", "pattern": "("}"#, "pattern \"(\""),
        (
            r#"{"type": "regex", "name": "g", "pattern": "x", "flags": "i"}"#,
            "unknown field `flags`",
        ),
        (
            r#"{"type": "text_similarity", "name": "g", "input": "a", "reference": "b", "evaluation_metric": "cosine"}"#,
            "evaluation_metric `cosine`",
        ),
        (
            r#"{"type": "string_check", "name": "g", "operation": "eq", "input": "{{ row.a }}", "reference": "b"}"#,
            "template \"{{ row.a }}\"",
        ),
    ] {
        let error = format!("{:#}", read(given).unwrap_err());
        assert!(error.contains("--grader") && error.contains(field), "{given}: {error}");
    }
}

#[test]
fn the_help_shows_a_grader_that_can_be_built() {
    let command = <Args as clap::Args>::augment_args(clap::Command::new("verify"));
    let help = command.clone().render_long_help().to_string();
    assert!(
        help.contains("--grader <FILE|JSON>") && help.contains("docs/graders.md"),
        "{help}"
    );
    let start = help.find("--grader '{").expect("an example") + "--grader '".len();
    let example = &help[start..start + help[start..].find('\'').expect("its end")];
    crate::cli::shared::grader_spec(example).expect("a grader");
}
