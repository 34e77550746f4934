//! Where the answer of a whole response is found.

use super::grade;
use crate::{ExtractRules, MathOptions, Verdict, extract_answer, grade_math, last_boxed};

#[test]
fn the_last_balanced_box_is_taken() {
    let cases = [
        (r"\boxed{1} then \boxed{2}", Some("2")),
        (r"\boxed{\frac{1}{2}}", Some(r"\frac{1}{2}")),
        (r"\fbox{3}", Some("3")),
        (r"\boxed {4}", Some("4")),
        (r"\\boxed{5}", Some("5")),
        (r"\boxed{2 + \boxed{7}}", Some(r"2 + \boxed{7}")),
        (r"\boxed{\{1,2\}}", Some(r"\{1,2\}")),
        (r"\boxed{6} and \boxed{7", Some("6")),
        (r"\boxed{7\}", None),
        (r"\boxed{42\\}", Some(r"42\\")),
        (r"\boxed{42\\\\}", Some(r"42\\\\")),
        (r"\boxed{\\{1,2\\}}", Some(r"\\{1,2\\}")),
        (r"{ \boxed{8}", Some("8")),
        (r"\boxed 9", None),
        ("", None),
        ("\\", None),
    ];
    for (text, expected) in cases {
        assert_eq!(last_boxed(text), expected, "{text}");
    }
}

#[test]
fn answers_are_found_by_rule() {
    let cases = [
        (r"so \boxed{42}", "42", "box"),
        (r"\boxed{1} or \boxed{2}", "1, 2", "boxes"),
        (r"\boxed{42} ... wait, no. \boxed{41}", "41", "box"),
        ("<answer>42</answer>", "42", "tag"),
        ("step\n#### 41\n#### 42", "42", "hash"),
        ("The answer is 42.", "42.", "announced"),
        ("The answer is 42 or 41.", "42 or 41.", "announced"),
        ("Answer: $x=3$. I hope it is correct.", "$x=3$", "announced"),
        ("Answer: 42 (see page 17)", "42", "announced"),
        ("The answer is 5. No wait, 6.", "6.", "corrected"),
        ("The answer is 5. Actually, it should be $6$", "$6$", "corrected"),
        ("The answer is 5. Wait, is that right? Yes.", "5", "announced"),
        (r"\boxed{255} so the final answer is $10,455$.", "$10,455$", "final"),
        (r"\boxed{255}. The final answer is above.", "255", "box"),
        (r"答案：每份应该是 (\frac{2}{5}) 吨。", r"(\frac{2}{5})", "announced"),
        (r"La réponse est 42.", "42.", "announced"),
        (
            r"we add them and get \frac{2}{5} + 1 as wanted",
            r"\frac{2}{5} + 1",
            "mathematics",
        ),
        ("A is tempting but wrong; so is C. Answer: B", "B", "announced"),
        (r"\frac{1}{2}", r"\frac{1}{2}", "whole"),
        ("12, 13, 34", "12, 13, 34", "whole"),
        ("The candidates were 12, 13, 34", "12, 13, 34", "number"),
        ("The result here is 34", "34", "number"),
        ("Adding them gives $3+4=7$ as wanted", "3+4=7", "mathematics"),
        ("<think>maybe 3</think>The sum equals -5 here", "-5", "number"),
    ];
    for (text, answer, rule) in cases {
        let found = extract_answer(text).unwrap_or_else(|| panic!("nothing in {text}"));
        assert_eq!((found.answer.as_str(), found.rule), (answer, rule), "{text}");
    }
}

#[test]
fn reasoning_is_not_searched() {
    for text in [
        r"<think>so \boxed{42}",
        r"<think>a</think><think>\boxed{42}</think>",
        r"<think>\boxed{42}</think>",
    ] {
        assert_eq!(grade(text, "42").verdict, Verdict::NoAnswer, "{text}");
    }
    assert_eq!(
        grade(r"<think>\boxed{41}</think>\boxed{42}", "42").verdict,
        Verdict::Correct
    );
}

#[test]
fn text_after_the_box_does_not_hide_it() {
    let text = format!("\\boxed{{34}} {}", "and so on ".repeat(54));
    assert_eq!(grade(&text, "34").verdict, Verdict::Correct);
}

#[test]
fn strict_wants_one_boxed_answer() {
    let strict = MathOptions {
        strict: true,
        ..MathOptions::default()
    };
    let cases = [
        ("The answer is 42", Verdict::NoAnswer),
        (r"\boxed{41}, no: \boxed{42}", Verdict::Wrong),
        (r"\boxed{42}, as said: \boxed{42}", Verdict::Correct),
    ];
    for (text, verdict) in cases {
        assert_eq!(grade_math(text, "42", &strict).verdict, verdict, "{text}");
    }
}

#[test]
fn each_rule_can_be_switched_off() {
    let all = ExtractRules::default();
    let cases = [
        (ExtractRules { boxed: false, ..all }, r"\boxed{7}. Answer: 8", "8"),
        (ExtractRules { tag: false, ..all }, "<answer>7</answer>\n#### 8", "8"),
        (ExtractRules { hash: false, ..all }, "#### 7\nAnswer: 8", "8"),
        (
            ExtractRules {
                announced: false,
                ..all
            },
            "The answer is 7. We check this with number 8",
            "8",
        ),
        (ExtractRules { whole: false, ..all }, "7, then 8", "8"),
        (
            ExtractRules {
                final_answer: false,
                ..all
            },
            r"\boxed{8}. The final answer is 7",
            "8",
        ),
        (
            ExtractRules {
                expression: false,
                ..all
            },
            "we conclude with the number 8",
            "",
        ),
    ];
    for (extract, text, answer) in cases {
        let options = MathOptions {
            extract,
            ..MathOptions::default()
        };
        let grade = grade_math(text, "8", &options);
        assert_eq!(
            grade.extracted.unwrap_or_default().trim_end_matches('.'),
            answer,
            "{text}"
        );
    }
    let switched = serde_json::from_str::<MathOptions>(r#"{"extract": {"boxed": false}}"#).expect("a switch");
    assert!(!switched.extract.boxed && switched.extract.tag);
}

#[test]
fn several_boxes_answer_a_gold_of_several_parts() {
    let cases = [
        (
            r"\boxed{(3, 3)} \text{ for part (a) and } \boxed{(1, 1)}",
            "(3,3), (1,1)",
            Verdict::Correct,
        ),
        (r"\boxed{3} apples and \boxed{1} pear", "1, 3", Verdict::Correct),
        (r"\boxed{3} apples, no wait \boxed{1} pear", "1, 3", Verdict::Wrong),
        (r"\boxed{3} apples. Then \boxed{1} pear", "1, 3", Verdict::Wrong),
        (r"\boxed{3} and \boxed{1}", "1", Verdict::Wrong),
        (
            r"$\boxed{1,2}$",
            r"\boxed{1} papers and \boxed{2} bins",
            Verdict::Correct,
        ),
        (r"$\boxed{2}$", r"\boxed{1} papers and \boxed{2} bins", Verdict::Wrong),
        ("42", "She has 21 and 21.\n#### 42", Verdict::Correct),
        (
            "28%",
            r"It loses $20\%$. The final answer is $28 \%$. I hope it is correct.",
            Verdict::Correct,
        ),
    ];
    for (text, gold, verdict) in cases {
        let found = grade(text, gold);
        assert_eq!(found.verdict, verdict, "{text} / {gold}: {found:?}");
    }
}

#[test]
fn the_end_of_a_line_does_not_hide_the_box() {
    for text in [r"\boxed{42\\}", r"\boxed{42\\\\}", r"\boxed{42\\ }"] {
        assert_eq!(grade(text, "42").verdict, Verdict::Correct, "{text}");
        assert_eq!(grade(text, "41").verdict, Verdict::Wrong, "{text}");
    }
}

#[test]
fn a_budget_of_no_steps_is_refused_where_it_is_read_and_one_step_where_not() {
    let none = serde_json::from_str::<MathOptions>(r#"{"max_steps": 0}"#);
    assert!(none.is_err());
    let options = serde_json::from_str::<MathOptions>(r#"{"max_steps": 1}"#).expect("one step");
    assert_eq!(options.max_steps, 1);
    assert_eq!(
        serde_json::from_str::<MathOptions>("{}").expect("defaults"),
        MathOptions::default()
    );
    let none = MathOptions {
        max_steps: 0,
        ..options
    };
    assert_eq!(grade_math(r"\boxed{7}", "7", &none).verdict, Verdict::Infrastructure);
    assert_eq!(grade_math(r"\boxed{7}", "7", &none).steps, 1);
}
