use std::collections::HashMap;

use clap::Parser;
use svs_trainer::eval::verdict_name;
use svs_trainer::problems::{FileOptions, load};
use svs_trainer::reward::{Reward, RewardConfig, Task};
use svs_verifier::quality::Instance;

use super::*;
use crate::cli::{Cli, Command};

fn parse(flags: &[&str]) -> Result<Args, String> {
    let line = ["svs", "problems"].iter().chain(flags);
    match Cli::try_parse_from(line).map_err(|error| error.to_string())?.command {
        Command::Problems(args) => Ok(args),
        other => Err(format!("{other:?}")),
    }
}

fn written(flags: &[&str]) -> Vec<Value> {
    let args = parse(flags).expect("arguments");
    rows(&args).collect::<anyhow::Result<_>>().expect("rows")
}

#[test]
fn a_file_is_the_same_for_the_same_arguments_and_differs_by_seed() {
    let of = |seed| written(&["--task", "all", "--count", "40", "--size", "5..8", "--seed", seed]);
    let rows = of("1");
    assert_eq!(rows, of("1"));
    let questions: HashSet<String> = rows.iter().map(|row| row["question"].to_string()).collect();
    assert_eq!(questions.len(), 40, "no two the same");
    assert!(
        of("2")
            .iter()
            .all(|row| !questions.contains(&row["question"].to_string()))
    );
    let mut counts: HashMap<String, usize> = HashMap::new();
    for row in &rows {
        *counts.entry(row["grader"]["name"].to_string()).or_default() += 1;
    }
    assert_eq!(counts.len(), 10);
    assert!(counts.values().all(|count| *count == 4), "{counts:?}");
    let size = |row: &Value| {
        row["id"]
            .as_str()
            .and_then(|id| id.rsplit('-').nth(1)?.parse::<usize>().ok())
    };
    let sizes: Vec<usize> = rows.iter().filter_map(size).collect();
    assert!(
        sizes.is_sorted() && sizes[0] == 5 && sizes[39] == 8 && sizes.len() == 40,
        "{sizes:?}"
    );
}

#[test]
fn rows_are_problems_that_rollouts_are_graded_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("hard.jsonl");
    let flags = [
        "--task",
        "all",
        "--count",
        "20",
        "--output",
        path.to_str().expect("a path"),
    ];
    run(parse(&flags).expect("arguments")).expect("written");
    assert!(
        run(parse(&flags).expect("arguments")).is_err(),
        "not overwritten unasked"
    );
    run(parse(&[&flags[..], &["--force"]].concat()).expect("arguments")).expect("overwritten");
    let problems = load(&path, &FileOptions::default()).expect("problems");
    assert_eq!(problems.len(), 20);
    let reward = Reward::new(&RewardConfig::default(), false).expect("a reward");
    for problem in &problems {
        assert_eq!(problem.source, "quality");
        let task = Task::of(problem);
        let instance: Instance = serde_json::from_value(task.item["instance"].clone()).expect("an instance");
        let answer = format!("It is \\boxed{{{:?}}}.", instance.reference().expect("an answer"));
        let grade = |text: &str| reward.judge(&task).grade(text, &task);
        assert_eq!(grade(&answer).reward, Some(1.0), "{}", problem.id);
        assert_eq!(
            (grade("none").reward, verdict_name(grade("none").verdict)),
            (Some(0.0), "no_answer")
        );
    }
}

#[test]
fn arguments_that_cannot_be_are_refused() {
    for (flags, reason) in [
        (vec![], "--task"),
        (vec!["--task", "chess"], "the tasks are travelling_salesman"),
        (vec!["--task", "knapsack", "--size", "3"], "within 4..256"),
        (vec!["--task", "knapsack", "--size", "9..8"], "within 4..256"),
        (vec!["--task", "knapsack", "--size", "4..257"], "within 4..256"),
    ] {
        let said = parse(&flags).expect_err("refused");
        assert!(said.contains(reason), "{flags:?}: {said}");
    }
    let none = parse(&["--task", "knapsack", "--count", "0"]).expect("arguments");
    assert!(run(none).expect_err("refused").to_string().contains("--count"));
    let few = parse(&["--task", "hamiltonian_path", "--size", "4", "--count", "5000"]).expect("arguments");
    let said = rows(&few).find_map(Result::err).expect("refused").to_string();
    assert!(said.contains("not so many different problems"), "{said}");
}
