use super::super::plan::documents;
use super::super::{records, smollm2};
use super::*;

fn evaluation(arm: Arm, due_tokens: u64, correct: &[u32]) -> Evaluation {
    Evaluation {
        arm,
        seed: 0,
        due_tokens,
        generated_tokens: due_tokens,
        step: 3,
        samples: 4,
        entropy: f64::from(correct[0]),
        sampled_tokens: 10,
        correct: correct.to_vec(),
    }
}

#[test]
fn problems_are_paired() {
    let all = [
        evaluation(Arm::Start, 0, &[0, 1, 4]),
        evaluation(Arm::Grpo, 50, &[1, 1, 4]),
        evaluation(Arm::Svs, 50, &[2, 2, 4]),
    ];
    let found = Paired::new(&all, &[0], &[50]).expect("complete");
    let point = &found.points[0];
    let pass = &point.passes["pass@1"];
    for (estimate, mean) in [
        (pass.start, 5.0 / 12.0),
        (pass.grpo, 6.0 / 12.0),
        (pass.svs, 8.0 / 12.0),
        (pass.grpo_less_start, 1.0 / 12.0),
        (pass.svs_less_start, 3.0 / 12.0),
        (pass.svs_less_grpo, 2.0 / 12.0),
    ] {
        assert!((estimate.mean - mean).abs() < 1e-12, "{estimate:?} is not {mean}");
        assert!(estimate.lower <= estimate.mean && estimate.mean <= estimate.upper && estimate.problems == 3);
    }
    // Resampled differences of the pairs lie between the least and the largest of them.
    assert!(pass.svs_less_grpo.lower >= 0.0 && pass.svs_less_grpo.upper <= 0.25);
    assert_eq!(point.passes["pass@4"].start.mean, 2.0 / 3.0);
    assert!(!point.passes.contains_key("pass@16"), "nothing is extrapolated");
    assert_eq!(point.entropy, [0.0, 1.0, 2.0]);
    assert!(Paired::new(&all, &[0], &[60]).is_err());
    assert!(Paired::new(&all, &[1], &[50]).is_err());
    let rows = tables(&found, &all).expect("tables");
    assert!(
        rows.contains("| 50 | entropy, nats | 0.000 | 1.000 | 2.000 | +1.000 | +2.000 | +1.000 |"),
        "{rows}"
    );
    assert!(rows.contains("| 50 | svs | 0 | 3 | 50 |"), "{rows}");
}

#[test]
fn the_committed_figures_follow_from_the_committed_evaluations() {
    let folder = documents(smollm2::DEFAULTS.name);
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).expect("a committed file");
    let committed: Paired = serde_json::from_str(&read("results.json")).expect("figures");
    let evaluations = records::read(&folder.join("evaluations.jsonl")).expect("evaluations");
    let due: Vec<u64> = committed.points.iter().map(|point| point.due_tokens).collect();
    let found = Paired::new(&evaluations, &committed.seeds, &due).expect("complete");
    assert_eq!(found, committed);
    let (page, tables) = (read("README.md"), tables(&found, &evaluations).expect("tables"));
    for row in tables.lines() {
        assert!(page.contains(row), "README.md lacks {row}");
    }
}

#[test]
fn the_committed_configuration_is_valid_and_leaves_the_recipe_to_the_command() {
    let folder = documents(smollm2::DEFAULTS.name);
    let text = std::fs::read_to_string(folder.join("config.toml")).expect("a committed file");
    svs_trainer::TrainConfig::from_toml(&text).expect("valid");
    let sets = |key: &str| text.lines().any(|line| line.starts_with(&format!("{key} =")));
    assert!(!sets("recipe") && !sets("seed") && !sets("max_generated_tokens"));
}
