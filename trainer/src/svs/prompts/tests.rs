use super::*;

fn with(solve: &str, synthesize: &str) -> Prompts {
    Prompts {
        solve: solve.into(),
        synthesize: synthesize.into(),
        ..Prompts::default()
    }
}

#[test]
fn defaults_are_valid_and_ask_for_what_the_parsers_read() {
    let prompts = Prompts::default();
    prompts.validate().expect("valid");
    let solve = prompts.solve_messages("What is 2 + 2?");
    assert_eq!((solve.len(), solve[0].role.as_str()), (1, "user"));
    assert!(solve[0].content.starts_with("What is 2 + 2?\n"));
    assert!(solve[0].content.contains("\\boxed{}"));
    let synthesis = prompts.synthesis_messages("2 + 2 = 4, so \\boxed{4}.");
    assert!(synthesis[0].content.contains("2 + 2 = 4, so \\boxed{4}."));
    assert!(synthesis[0].content.contains("```text"));
}

#[test]
fn slots_inside_the_filled_text_are_left_alone() {
    let prompts = with("Q: {question}", "S: {response}");
    assert_eq!(
        prompts.solve_messages("{question} {response}")[0].content,
        "Q: {question} {response}"
    );
    assert_eq!(
        prompts.synthesis_messages("{response}{response}")[0].content,
        "S: {response}{response}"
    );
}

#[test]
fn templates_are_checked_by_name() {
    let cases = [
        ("{question}", "{response}", None),
        ("{question} \\boxed{answer}", "{response} \\text{words} {1}", None),
        (
            "no slot",
            "{response}",
            Some("prompts.solve: the slot `{question}` is missing"),
        ),
        (
            "{question}{question}",
            "{response}",
            Some("prompts.solve: the slot `{question}` is used 2 times; it must be used once"),
        ),
        (
            "{question}",
            "{response} {question}",
            Some("prompts.synthesize: the slot `{question}` does not exist here; there is only `{response}`"),
        ),
        (
            "{problem}",
            "{response}",
            Some("prompts.solve: the slot `{problem}` does not exist here; there is only `{question}`"),
        ),
    ];
    for (solve, synthesize, expected) in cases {
        let found = with(solve, synthesize).validate().err().map(|error| error.to_string());
        assert_eq!(found.as_deref(), expected, "{solve:?} {synthesize:?}");
    }
}

#[test]
fn a_hint_has_two_slots() {
    let hint = |hint: &str| Prompts {
        hint: hint.into(),
        ..Prompts::default()
    };
    let shown = hint("{hint} for {question}").hint_messages("{hint}?", "{question}!");
    assert_eq!(shown[0].content, "{question}! for {hint}?");
    for (template, expected) in [
        ("{question} {hint}", None),
        ("{question}", Some("the slot `{hint}` is missing")),
        ("{question} {hint} {hint}", Some("used 2 times")),
        ("{question} {hint} {answer}", Some("only `{question}` and `{hint}`")),
    ] {
        let found = hint(template).validate().err().map(|error| error.to_string());
        assert_eq!(found.is_some(), expected.is_some(), "{template}");
        let named = found
            .zip(expected)
            .is_none_or(|(found, expected)| found.starts_with("prompts.hint: ") && found.contains(expected));
        assert!(named, "{template}");
    }
}
