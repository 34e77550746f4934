use super::*;

const LEGACY: &str = r#"{"choices": [{"text": "ab", "token_ids": [5, 6],
    "logprobs": {"tokens": ["a", "b"], "token_logprobs": [-0.5, -1.0]}}]}"#;
const CHAT: &str = r#"{"choices": [{"text": "ab",
    "logprobs": {"content": [{"id": 5, "logprob": -0.5}, {"id": 6, "logprob": -1}]}}]}"#;
const BARE: &str = r#"{"choices": [{"text": "ab", "logprobs": {"token_logprobs": [-0.5, -1.0]}}]}"#;

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
    for (answer, complaint) in [
        (LEGACY, "2 tokens with logprobs instead of 3"),
        (r#"{"choices": [{"text": "ab"}]}"#, "0 tokens with logprobs"),
        (
            r#"{"choices": [{"logprobs": {"token_logprobs": [null, -1, -1]}}]}"#,
            "no logprob",
        ),
        (r#"{"error": {}}"#, "no choices"),
        ("nonsense", "no JSON"),
    ] {
        let refusal = choices(answer, 3).unwrap_err().to_string();
        assert!(refusal.contains(complaint), "{answer}: {refusal}");
    }
}
