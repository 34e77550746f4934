//! What each grader gives for which response.

use serde_json::{Value, json};

use super::score;

/// Scores each response by its specification; the item has `label` and `options`.
fn check(cases: &[(Value, &str, Result<f64, ()>)]) {
    let item = json!({"label": "Paris", "empty": "", "gold": "\\frac{1}{2}", "bad": "\\iint f", "options": ["Rome", "Paris", "Oslo"]});
    let wrong: Vec<String> = cases
        .iter()
        .filter_map(|(spec, response, expected)| {
            let scored = score(spec, response, &item);
            (scored.reward.clone().map_err(|_| ()) != *expected).then(|| format!("{spec} of {response:?}: {scored:?}"))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn string_checks() {
    let spec = |operation: &str, reference: &str| {
        json!({"type": "string_check", "name": "g", "operation": operation,
            "input": "{{ sample.output_text }}", "reference": reference})
    };
    check(&[
        (spec("eq", "{{ item.label }}"), "Paris", Ok(1.0)),
        (spec("eq", "{{ item.label }}"), "paris", Ok(0.0)),
        (spec("eq", "{{ item.label }}"), "<think>Rome</think>Paris", Ok(1.0)),
        (spec("ne", "{{ item.label }}"), "Paris", Ok(0.0)),
        (spec("ne", "{{ item.empty }}"), "Paris", Ok(1.0)),
        (spec("like", "{{ item.label }}"), "It is Paris.", Ok(1.0)),
        (spec("like", "{{ item.label }}"), "It is paris.", Ok(0.0)),
        (spec("like", "{{ item.label }}"), "<think>Paris", Ok(0.0)),
        (spec("ilike", "{{ item.label }}"), "It is PARIS.", Ok(1.0)),
        (spec("ilike", "STRASSE É"), "strasse é", Ok(1.0)),
        (spec("eq", "{{ item.empty }}"), "", Err(())),
        (spec("like", "{{ item.empty }}"), "anything", Err(())),
    ]);
}

#[test]
fn mathematics_and_choices() {
    let math = |reference: &str| json!({"type": "math", "name": "g", "reference": reference});
    let options = json!([
        "{{ item.options[0] }}",
        "{{ item.options[1] }}",
        "{{ item.options[2] }}"
    ]);
    let choice = |reference: &str| json!({"type": "choice", "name": "g", "reference": reference, "choices": options});
    let letters = |reference: &str| json!({"type": "choice", "name": "g", "reference": reference});
    check(&[
        (math("{{ item.gold }}"), r"so \boxed{0.5}", Ok(1.0)),
        (math("{{ item.gold }}"), r"so \boxed{0.4}", Ok(0.0)),
        (math("{{ item.bad }}"), r"so \boxed{0.4}", Err(())),
        (choice("{{ item.label }}"), "The answer is B.", Ok(1.0)),
        (choice("B"), "The answer is (B) Paris", Ok(1.0)),
        (choice("B"), "Answer: Paris", Ok(1.0)),
        (choice("B"), r"\boxed{\text{paris}}", Ok(1.0)),
        (choice("B"), "Answer: Rome", Ok(0.0)),
        (choice("B"), "Answer: A", Ok(0.0)),
        (choice("B"), "Answer: D", Ok(0.0)),
        (choice("B"), "Answer: B or C", Ok(0.0)),
        (choice("B"), "", Ok(0.0)),
        (choice("D"), "Answer: D", Err(())),
        (letters("C"), r"\boxed{C}", Ok(1.0)),
        (letters("C"), r"\boxed{c}", Ok(1.0)),
        (letters("C"), "<think>C</think>", Ok(0.0)),
        (letters("Paris"), r"\boxed{C}", Err(())),
    ]);
}

#[test]
fn patterns() {
    let spec = |pattern: &str, full: bool| json!({"type": "regex", "name": "g", "pattern": pattern, "full": full});
    check(&[
        (spec(r"\d{4}", false), "in 1984.", Ok(1.0)),
        (spec(r"\d{4}", true), "in 1984.", Ok(0.0)),
        (spec(r"\d{4}", true), "1984", Ok(1.0)),
        (spec(r"\d{4}", true), "1984\n", Ok(0.0)),
        (spec("a|b", true), "ab", Ok(0.0)),
        (spec("(?i)paris", false), "PARIS", Ok(1.0)),
        (spec("paris", false), "<think>paris</think>", Ok(0.0)),
    ]);
}

#[test]
fn formats() {
    let with = |conditions: Value| {
        let mut spec = conditions;
        spec["type"] = "format".into();
        spec["name"] = "g".into();
        spec
    };
    let tags = with(json!({"tags": ["think", "answer"]}));
    let only = with(json!({"tags": ["think", "answer"], "only_tags": true}));
    let latin = with(json!({"script": {"allowed": ["Latin"], "min_share": 0.75}}));
    let words = with(json!({"min_words": 2, "max_words": 3, "max_chars": 9}));
    check(&[
        (tags.clone(), "<think>a</think> so <answer>b</answer>", Ok(1.0)),
        (tags.clone(), "<answer>b</answer><think>a</think>", Ok(0.0)),
        (tags.clone(), "<think>a</think><answer>b", Ok(0.0)),
        (tags.clone(), "<think>a<answer>b</answer></think>", Ok(0.0)),
        (
            tags.clone(),
            "<think>a</think><answer>b</answer><answer>c</answer>",
            Ok(0.0),
        ),
        (tags, "</think><think></think><answer></answer>", Ok(0.0)),
        (only.clone(), "<think>a</think>\n<answer>b</answer>\n", Ok(1.0)),
        (only.clone(), "<think>a</think> so <answer>b</answer>", Ok(0.0)),
        (only, "<think>a</think><answer>b</answer>!", Ok(0.0)),
        (latin.clone(), "three letters of four: abcж", Ok(1.0)),
        (latin.clone(), "abжж", Ok(0.0)),
        (latin.clone(), "42 + 1", Ok(1.0)),
        (latin, "日本語", Ok(0.0)),
        (
            with(json!({"script": {"allowed": ["Han", "Hiragana"]}})),
            "日本の、42",
            Ok(1.0),
        ),
        (words.clone(), "one two", Ok(1.0)),
        (words.clone(), "one", Ok(0.0)),
        (words.clone(), "a b c d", Ok(0.0)),
        (words, "three fours", Ok(0.0)),
    ]);
}
