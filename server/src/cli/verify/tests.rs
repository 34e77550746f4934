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
    let bad = grade_lines(
        input.as_bytes(),
        &mut output,
        &mut errors,
        "in.jsonl",
        &MathOptions::default(),
    )
    .unwrap();
    assert_eq!(bad, 2);
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
    assert_eq!(keys, ["id", "correct", "verdict", "extracted", "micros", "steps"]);
}
