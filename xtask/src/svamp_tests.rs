use super::*;

#[test]
fn equations_become_short_solutions() {
    for (equation, answer, want) in [
        ("( 48.0 - 19.0 )", "29", "48-19=29\n\\boxed{29}"),
        ("( ( 8.0 + 3.0 ) * 4.0 )", "44", "(8+3)*4=44\n\\boxed{44}"),
        (
            "( 8.0 + 3.0 ) * ( 4.0 - 1.5 )",
            "27.5",
            "(8+3)*(4-1.5)=27.5\n\\boxed{27.5}",
        ),
        ("7.0", "7", "7=7\n\\boxed{7}"),
    ] {
        assert_eq!(solution(equation, answer), want, "{equation}");
    }
}

#[test]
fn examples_come_from_the_training_part_only() {
    let folder = std::env::temp_dir().join(format!("svamp-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let rows: Vec<_> = (0..10)
        .map(|i| {
            json!({"ID": format!("row-{i}"), "Body": format!("Ann has {i} nuts and finds 5"), "Question": "How many now?",
                "Equation": format!("( {i}.0 + 5.0 )"), "Answer": f64::from(i) + 5.0, "Type": "Addition"})
        })
        .collect();
    let (input, output) = (folder.join("svamp.json"), folder.join("sft.jsonl"));
    std::fs::write(&input, serde_json::to_vec(&rows).unwrap()).unwrap();
    run(&Options {
        input: input.clone(),
        output: output.clone(),
        held_out: 0.4,
        synthesis_every: 3,
    })
    .unwrap();
    let written = std::fs::read_to_string(&output).unwrap();
    let problems = read_files(&[input], &FileOptions::default(), "input").unwrap();
    let (training, held_out) = split_files(problems, 0.4).unwrap();
    assert_eq!((written.lines().count(), training.len(), held_out.len()), (6, 6, 4));
    assert!(training.iter().all(|problem| written.contains(&problem.question)));
    assert!(held_out.iter().all(|problem| !written.contains(&problem.question)));
    assert_eq!(
        written.matches("```text").count(),
        2 * 2,
        "in the prompt and in the answer"
    );
    std::fs::remove_dir_all(folder).unwrap();
}
