use std::collections::HashSet;

use super::*;

#[test]
fn no_two_rounds_share_a_prompt() {
    let mut seen = HashSet::new();
    for round in 0..50 {
        for prompt in Prompts::Synthetic.of_round(round) {
            let Prompt::Tokens(tokens) = prompt else {
                panic!("synthetic prompts are tokens")
            };
            assert_eq!(tokens.len(), PROMPT_TOKENS);
            assert!(tokens.iter().all(|token| (256..30_256).contains(token)));
            assert!(
                seen.insert(tokens[..16].to_vec()),
                "round {round} repeats a first block"
            );
        }
    }
}

#[test]
fn lines_are_texts_or_objects() {
    for (line, prompt) in [
        ("plain text", "plain text"),
        (r#"{"question": "2 + 3?", "answer": "5"}"#, "2 + 3?"),
        (r#"{"prompt": "p", "question": "q"}"#, "p"),
        (r#"{"other": "kept as it is"}"#, r#"{"other": "kept as it is"}"#),
        ("[1, 2]", "[1, 2]"),
    ] {
        assert_eq!(prompt_of_line(line), prompt);
    }
}

#[test]
fn a_file_too_short_for_fresh_prompts_is_refused() {
    let path = std::env::temp_dir().join(format!("prompts-{}.txt", std::process::id()));
    std::fs::write(&path, "one\n\ntwo\n".repeat(8)).unwrap();
    assert!(Prompts::read(&path, 2).is_ok());
    let refusal = Prompts::read(&path, 3).unwrap_err().to_string();
    assert!(
        refusal.contains("16 prompts; 3 rounds of fresh ones need 24"),
        "{refusal}"
    );
    std::fs::remove_file(&path).unwrap();
}
