use super::super::documents;

#[test]
fn the_committed_configuration_is_valid_and_leaves_the_recipe_to_the_command() {
    let text = std::fs::read_to_string(documents().join("config.toml")).expect("a committed file");
    svs_trainer::TrainConfig::from_toml(&text).expect("valid");
    let sets = |key: &str| text.lines().any(|line| line.starts_with(&format!("{key} =")));
    assert!(!sets("recipe") && !sets("seed") && !sets("max_generated_tokens"));
}
