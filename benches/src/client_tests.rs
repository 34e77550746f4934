use super::*;

const LEGACY: &str = r#"{"choices": [{"text": "ab", "finish_reason": "length", "token_ids": [5, 6],
    "logprobs": {"tokens": ["a", "b"], "token_logprobs": [-0.5, -1.0]}}]}"#;
const CHAT: &str = r#"{"choices": [{"text": "ab", "finish_reason": "length",
    "logprobs": {"content": [{"id": 5, "logprob": -0.5}, {"id": 6, "logprob": -1}]}}]}"#;
const BARE: &str =
    r#"{"choices": [{"text": "ab", "finish_reason": "length", "logprobs": {"token_logprobs": [-0.5, -1.0]}}]}"#;

#[test]
fn both_shapes_of_logprobs_are_read() {
    for (answer, ids) in [(LEGACY, Some(vec![5, 6])), (CHAT, Some(vec![5, 6])), (BARE, None)] {
        let expected = Choice {
            ids,
            logprobs: vec![-0.5, -1.0],
        };
        assert_eq!(choices(answer, 2).unwrap(), [expected], "{answer}");
    }
}

#[test]
fn an_answer_of_another_length_is_refused() {
    let ends = |reason: &str| LEGACY.replace("length", reason);
    let counts = |tokens: usize| {
        LEGACY.replace(
            "{\"choices\"",
            &format!("{{\"usage\": {{\"completion_tokens\": {tokens}}}, \"choices\""),
        )
    };
    for (answer, max_tokens, complaint) in [
        (LEGACY.replace("-0.5, -1.0", ""), 2, "0 logprobs for 2 tokens"),
        (LEGACY.to_owned(), 1, "2 logprobs for 1 tokens"),
        (ends("stop"), 2, "ended by \"stop\""),
        (counts(1), 2, "an answer of 1 tokens"),
        (LEGACY.replace("-1.0", "null"), 2, "no logprob"),
        (r#"{"error": {}}"#.to_owned(), 2, "no choices"),
        ("nonsense".to_owned(), 2, "no JSON"),
    ] {
        let refusal = choices(&answer, max_tokens).unwrap_err().to_string();
        assert!(refusal.contains(complaint), "{answer}: {refusal}");
    }
    assert!(choices(&counts(2), 2).is_ok());
}

#[test]
fn logprobs_may_be_missing() {
    let tokens: Vec<String> = (0..9).map(|id| format!(r#"{{"id": {id}, "logprob": -1}}"#)).collect();
    let answer = format!(
        r#"{{"choices": [{{"finish_reason": "length", "logprobs": {{"content": [{}]}}}}]}}"#,
        tokens.join(", ")
    );
    assert_eq!(choices(&answer, 10).unwrap()[0].logprobs.len(), 9);
}
