use super::super::plan::documents;
use super::*;

#[test]
fn the_committed_figures_follow_from_the_committed_evaluations() {
    let folder = documents("svs-vs-grpo");
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).expect("a committed file");
    let committed: Comparison = serde_json::from_str(&read("results.json")).expect("figures");
    let evaluations = records::read(&folder.join("evaluations.jsonl")).expect("evaluations");
    let due: Vec<u64> = committed.points[1..].iter().map(|point| point.due_tokens).collect();
    let found = Comparison::new(&evaluations, &committed.seeds, &due).expect("complete");
    assert_eq!(found, committed);
    let (page, tables) = (read("README.md"), tables(&found, &evaluations).expect("tables"));
    for row in tables.lines() {
        assert!(page.contains(row), "README.md lacks {row}");
    }
    let steps = read("steps.csv");
    for arm in Arm::TRAINED {
        for seed in &committed.seeds {
            let last = evaluations
                .iter()
                .filter(|one| one.arm == arm && one.seed == *seed)
                .map(|one| (one.step, one.generated_tokens))
                .max()
                .expect("evaluations of every run");
            let row = format!("{},{seed},{},{},", arm.name(), last.0, last.1);
            assert!(steps.contains(&row), "steps.csv lacks {row}");
        }
    }
}

#[test]
fn the_committed_configuration_is_valid_and_leaves_the_recipe_to_the_command() {
    let text = std::fs::read_to_string(documents("svs-vs-grpo").join("config.toml")).expect("a committed file");
    svs_trainer::TrainConfig::from_toml(&text).expect("valid");
    let sets = |key: &str| text.lines().any(|line| line.starts_with(&format!("{key} =")));
    assert!(!sets("recipe") && !sets("seed") && !sets("max_generated_tokens"));
}
