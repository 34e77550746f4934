//! What an explanation shows.

use crate::{MathOptions, explain_math};

#[test]
fn both_trees_and_the_rule_are_shown() {
    let cases = [
        (r"\boxed{2x+1}", "1+2x", "(+ (* 2 x) 1)", "(+ 1 (* 2 x))", "equal"),
        (r"\boxed{\frac{1}{2}}", "0.5", "(* 1 (/ 2))", "1/2", "equal"),
        (
            r"\boxed{x \le 2}",
            r"(-\infty,2]",
            "(relation x LessEqual 2)",
            "(tuple (] (+ (- infinity)) 2)",
            "equal",
        ),
        (r"\boxed{5 \text{ cm}^2}", "6", "(measured 5 cm^2)", "6", "different"),
        (
            r"\boxed{\frac{1}{}",
            "6",
            "not read: malformed",
            "6",
            "answer_unparseable",
        ),
        (r"\boxed{(1}", "6", "not read: malformed", "6", "answer_unparseable"),
        (r"\boxed{\sum_{k=1}^{3} k}", "6", "(sum k 1 3 k)", "6", "equal"),
    ];
    for (prediction, gold, answer, parse, rule) in cases {
        let found = explain_math(prediction, gold, &MathOptions::default());
        assert_eq!(
            found.answer.map(|a| a.parse).unwrap_or_default(),
            answer,
            "{prediction}"
        );
        assert_eq!(
            (found.gold.parse.as_str(), found.grade.rule.as_str()),
            (parse, rule),
            "{prediction}"
        );
    }
}
