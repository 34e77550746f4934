use super::*;

#[test]
fn precedence_trimming_and_rejects() {
    use RejectReason::{Empty, NoMarker, Unclosed};
    let cases: &[(&str, Result<&str, RejectReason>)] = &[
        (
            "Topic: sums.\n```text\nWhat is 1 + 1?\n```\nDone.",
            Ok("What is 1 + 1?"),
        ),
        ("```text What is 1 + 1?```", Ok("What is 1 + 1?")),
        ("```text\r\n  two\nlines \r\n```", Ok("two\nlines")),
        ("```python\nx\n```\n```text\nreal\n```", Ok("real")),
        ("```text\nfirst\n```\n```text\nsecond\n```", Ok("first")),
        ("```\nplain fence\n```", Ok("plain fence")),
        ("```json\nkeeps its tag\n```", Ok("json\nkeeps its tag")),
        ("```texture\nnot the tag\n```", Ok("texture\nnot the tag")),
        ("<think>```text\nold\n```</think>```text\nnew\n```", Ok("new")),
        ("```text\nold\n```</think>nothing here", Err(NoMarker)),
        ("**Reconstructed Question**\n\nHow many?\n\nNotes.", Ok("How many?")),
        (
            "Intro\n**Reconstructed question:**\n\nHow many\napples?",
            Ok("How many\napples?"),
        ),
        ("**Reconstructed Question**:\n\nHow many?", Ok("How many?")),
        ("**Reconstructed Question**\nHow many?", Err(NoMarker)),
        ("Reconstructed Question\n\nHow many?", Err(NoMarker)),
        ("What is 1 + 1?", Err(NoMarker)),
        ("", Err(NoMarker)),
        ("```text\nWhat is 1 +", Err(Unclosed)),
        ("```\nWhat is 1 +", Err(Unclosed)),
        ("```text\n \n```", Err(Empty)),
        ("``````", Err(Empty)),
        ("**Reconstructed Question**\n\n", Err(Empty)),
        ("```text\nÄpfel – wie viele?\n```", Ok("Äpfel – wie viele?")),
    ];
    for (output, expected) in cases {
        assert_eq!(extract_problem(output), *expected, "{output:?}");
    }
}

#[test]
fn an_output_never_gets_its_neighbours_problem() {
    let outputs = ["```text\nA?\n```", "no marker at all", "```text\nB?\n```"];
    let found: Vec<_> = outputs.iter().map(|output| extract_problem(output).ok()).collect();
    assert_eq!(found, [Some("A?"), None, Some("B?")]);
}
