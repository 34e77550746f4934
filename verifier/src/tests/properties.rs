//! Total on any input: no panic, never more steps than allowed, equal to itself.

use proptest::prelude::*;

use crate::{MathOptions, Verdict, extract_answer, grade_math};

/// Pieces that mathematics and attacks on graders are made of.
const PIECES: &[&str] = &[
    "\\boxed{",
    "\\fbox{",
    "}",
    "{",
    "\\frac",
    "\\dfrac12",
    "\\sqrt",
    "[3]",
    "^",
    "_",
    "9",
    "0",
    "12",
    "1,000",
    ".5",
    "e9",
    "x",
    "y",
    "i",
    "e",
    "\\pi",
    "\\infty",
    "(",
    ")",
    "[",
    "]",
    "\\{",
    "\\}",
    "|",
    "!",
    "+",
    "-",
    "*",
    "/",
    "=",
    "<",
    ">",
    "\\le",
    "\\in",
    "\\cup",
    ",",
    ";",
    ":",
    "\\text{or}",
    "\\text{ cm}",
    "%",
    "\\%",
    "^\\circ",
    "$",
    "\\(",
    "\\)",
    "\\pm",
    "\\begin{pmatrix}",
    "\\end{pmatrix}",
    "&",
    "\\\\",
    "\\log",
    "\\sin",
    "\\binom",
    "gcd",
    "\\overline",
    "\\dot",
    "...",
    "\\ldots",
    "0x",
    "(3)",
    " m",
    "ab",
    "d",
    "\\int",
    "y=",
    ",234",
    "\\left",
    "\\right",
    "½",
    "²",
    "−",
    "∪",
    " ",
    "\n",
    "answer is ",
    "####",
    "<think>",
    "</think>",
    "million",
    "\\",
    "\u{0}",
    "é",
    "三",
];

fn soup() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(PIECES), 0..60).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn latex_soup_is_graded_within_the_budget(prediction in soup(), gold in soup(), max_steps in 1u64..20_000) {
        let options = MathOptions { max_steps, ..MathOptions::default() };
        for text in [prediction.clone(), format!("\\boxed{{{prediction}}}")] {
            let grade = grade_math(&text, &gold, &options);
            prop_assert!(grade.steps <= max_steps);
            prop_assert_eq!(&grade, &grade_math(&text, &gold, &options));
        }
    }

    #[test]
    fn random_bytes_are_graded(prediction in prop::collection::vec(any::<u8>(), 0..400), gold in prop::collection::vec(any::<u8>(), 0..80)) {
        let (prediction, gold) = (String::from_utf8_lossy(&prediction), String::from_utf8_lossy(&gold));
        let grade = grade_math(&prediction, &gold, &MathOptions::default());
        prop_assert!(grade.steps <= MathOptions::default().max_steps);
        let _ = extract_answer(&prediction);
    }

    #[test]
    fn what_can_be_read_equals_itself(answer in soup()) {
        let boxed = format!("\\boxed{{{answer}}}");
        // Broken braces or a thinking tag may cut the answer short: then the two sides are not the same text.
        if extract_answer(&boxed).is_none_or(|found| found.answer != answer.trim()) {
            return Ok(());
        }
        let grade = grade_math(&boxed, &boxed, &MathOptions::default());
        prop_assert!(!matches!(grade.verdict, Verdict::Wrong) || grade.rule != "different", "{answer:?} {grade:?}");
    }

    #[test]
    fn integers_equal_only_themselves(a in any::<i128>(), b in any::<i128>()) {
        let grade = grade_math(&format!("\\boxed{{{a}}}"), &b.to_string(), &MathOptions::default());
        prop_assert_eq!(grade.verdict == Verdict::Correct, a == b);
        let same = grade_math(&format!("it is {a}"), &a.to_string(), &MathOptions::default());
        prop_assert_eq!(same.verdict, Verdict::Correct);
    }
}

#[test]
fn hostile_sizes_stay_within_the_budget() {
    let cases = [
        format!("\\boxed{{{}1{}}}", "(".repeat(100_000), ")".repeat(100_000)),
        "\\boxed{".repeat(50_000),
        format!("\\boxed{{x{}}}", "^x".repeat(20_000)),
        format!("\\boxed{{{}1}}", "1+".repeat(20_000)),
        format!("\\boxed{{{}1}}", "x+".repeat(20_000)),
        format!("\\boxed{{0.{}}}", "3".repeat(60_000)),
        format!("\\boxed{{{}2{}}}", "\\sqrt{".repeat(5_000), "}".repeat(5_000)),
        format!("\\boxed{{{}1{}}}", "\\frac{1}{1+".repeat(50), "}".repeat(50)),
        format!("\\boxed{{{}x{}}}", "\\frac{1}{x+".repeat(25), "}".repeat(25)),
        "\\boxed{(x+y+z+w)^{400}}".into(),
        "\\boxed{((x+y+z+w)^{12}+1)^{12}}".into(),
        "\\boxed{1e999999999}".into(),
        "\\boxed{10^{10^{10}}}".into(),
        "\\boxed{\\log_2(2^{2^{2^{2^{2^2}}}})}".into(),
        "\\boxed{\\sqrt{123456789012345678901234567890123456789012345678901}}".into(),
        "$".repeat(1_000_001),
        "\\[".repeat(100_000),
        format!("\\boxed{{{}}}", "\\pm 1".repeat(40)),
        format!("\\boxed{{{}7{}}}", "\\text{".repeat(2_000), "}".repeat(2_000)),
    ];
    let options = MathOptions::default();
    for text in &cases {
        let grade = grade_math(text, "7", &options);
        assert!(
            grade.steps <= options.max_steps && grade.verdict != Verdict::Correct,
            "{grade:?}"
        );
        assert_eq!(
            grade_math("\\boxed{7}", text, &options).verdict.reward().unwrap_or(0.0),
            0.0
        );
    }
}
