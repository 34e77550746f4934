//! The table of known verdicts, with our stricter and more lenient choices marked.

use super::{grade, grade_boxed};
use crate::Verdict;

pub(super) fn check(cases: &[(&str, &str, Verdict)], grade: fn(&str, &str) -> crate::Grade) {
    let wrong: Vec<String> = cases
        .iter()
        .filter_map(|(answer, gold, expected)| {
            let found = grade(answer, gold);
            (found.verdict != *expected).then(|| format!("{answer:?} / {gold:?}: expected {expected:?}, got {found:?}"))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

pub(super) const C: Verdict = Verdict::Correct;
pub(super) const W: Verdict = Verdict::Wrong;
pub(super) const U: Verdict = Verdict::Unparseable;
pub(super) const I: Verdict = Verdict::Infrastructure;

/// Verdicts that upstream gives too.
pub(super) const AGREED: [(&str, &str, Verdict); 24] = [
    ("34", "34", C),
    ("34.0", "34", C),
    ("0.5", r"\frac{1}{2}", C),
    (r"\frac{2}{4}", r"\frac{1}{2}", C),
    ("x=5", "5", C),
    ("n = 1,000", "1000", C),
    (r"10\%", "10", C),
    (r"10 \text{ cm}", "10", C),
    ("(1,2)", "(1, 2)", C),
    ("(2,1)", "(1,2)", W),
    ("(1,2)", "[1,2]", W),
    (r"\{1,2\}", r"\{2,1\}", C),
    (r"\text{A}", "A", C),
    ("A", "B", W),
    (r"\sqrt{8}", r"2\sqrt{2}", C),
    ("2^{10}", "1024", C),
    (r"90^\circ", "90", C),
    ("x^2+2x+1", "(x+1)^2", C),
    (
        r"\begin{pmatrix}1&2\\3&4\end{pmatrix}",
        r"\begin{pmatrix} 1 & 2 \\ 3 & 4 \end{pmatrix}",
        C,
    ),
    ("034", "34", C),
    ("\u{2212}3", "-3", C),
    (r"7 \text{ or } 8", "7, 8", C),
    ("13/4", r"3\frac{1}{4}", C),
    ("3.1416", r"\pi", W),
];

#[test]
fn boxed_answers_get_the_verdicts_of_the_golden_table() {
    check(&AGREED, grade_boxed);
    let cases = [
        (
            r"\begin{pmatrix}1&2\\3&5\end{pmatrix}",
            r"\begin{pmatrix} 1 & 2 \\ 3 & 4 \end{pmatrix}",
            W,
        ),
        ("3 1/4", "13/4", C),
    ];
    check(&cases, grade_boxed);
}

#[test]
fn rewards_that_were_hacks_elsewhere_are_refused() {
    let cases = [
        // Listing candidates.
        ("12, 13, 34", "34", W),
        (r"12 \text{ or } 34", "34", W),
        (r"\{12, 34\}", "34", W),
        // A gold in a base wants the base.
        ("40", "40_9", W),
        ("36", "40_9", W),
        ("40_9", "40_9", C),
        ("40_8", "40_9", W),
        // No tolerance by a hundred or by a ten-thousandth.
        ("500", "5", W),
        ("384160001", "384160000", W),
        ("0.0000001", "0", W),
        (r"\frac{22}{7}", r"\pi", W),
        // Both units known and different.
        (r"5\text{ cm}", r"5\text{ m}", W),
        (r"5\text{ centimeters}", r"5\text{ cm}", C),
        // Two names, two values.
        ("x=2, y=1", "x=1, y=2", W),
        // A list without brackets is a set, a tuple is not.
        ("1,2", "2,1", C),
        (r"\{1,2\}", "(1,2)", W),
        ("|x|", "x", W),
        (r"\sqrt{x^2}", "x", W),
        (r"\text{not odd}", r"\text{odd}", W),
    ];
    check(&cases, grade_boxed);
}

#[test]
fn numbers_in_every_writing_are_equal_by_value() {
    let cases = [
        ("123456789012345678901234567890", "123456789012345678901234567890", C),
        ("123456789012345678901234567891", "123456789012345678901234567890", W),
        (r"1{,}234{,}567", "1234567", C),
        (r"1,\!234", "1234", C),
        (r"2\,997", "2997", C),
        (r"\$5.00", r"5\text{ dollars}", C),
        ("1.5e4", "15000", C),
        (r"1.5 \times 10^{4}", "15000", C),
        ("5 million", "5000000", C),
        (r"\frac12", "0.5", C),
        (r"\dfrac{1}{2}", r"\tfrac12", C),
        ("1/2/3", r"\frac16", C),
        (r"\sqrt[3]{54}", r"3\sqrt[3]{2}", C),
        (r"\frac{2}{\sqrt{3}}", r"\frac{2\sqrt{3}}{3}", C),
        (r"\frac{1}{1+\sqrt{2}}", r"\sqrt{2}-1", C),
        ("0.333333", r"\frac{1}{3}", C),
        ("0.33", r"\frac{1}{3}", W),
        ("3.141593", r"\pi", C),
        ("28%", "0.28", C),
        (r"28\text{ percent}", r"28\%", C),
        ("2^{-1}", "0.5", C),
        (r"2^{100000}", r"2^{99999}\cdot 2", C),
        ("3i+2", "2+3i", C),
        ("i^2", "-1", C),
        (r"\log_2 8", "3", C),
        (r"\sin 30^\circ", r"\frac12", C),
        ("5!", "120", C),
        (r"\lfloor 3.7 \rfloor", "3", C),
        (r"\left\lceil x \right\rceil", r"\lceil x \rceil", C),
        (r"\binom{5}{2}", "10", C),
        ("½", r"\frac12", C),
        ("√2", r"\sqrt2", C),
        ("7.", "7", C),
        (r"\text{The answer is } 7", "7", C),
    ];
    check(&cases, grade_boxed);
}

#[test]
fn structures_compare_by_their_own_rules() {
    let cases = [
        (r"(-\infty, 2]", r"\left(-\infty,2\right]", C),
        (r"(-\infty, 2)", r"(-\infty,2]", W),
        (r"[3,4) \cup (0,1)", r"(0,1)\cup[3,4)", C),
        (r"x \in [0,1]", "[0,1]", C),
        (r"1 \pm \sqrt{19}", r"1+\sqrt{19}, 1-\sqrt{19}", C),
        ("x > 5", "5 < x", C),
        ("2x > 10", "x > 5", C),
        (r"x \ge 5", "x > 5", W),
        ("2y = 4x + 2", "y = 2x + 1", C),
        ("x+y=2", "x+y=1", W),
        ("1=1", "7", W),
        ("42 = 41", "42", W),
        ("3+4 = 7", "7", C),
        ("3:4", "3:4", C),
        ("12:3", "12:30", W),
        (r"(x,y) = (1,2)", "(1,2)", C),
        (r"\frac{2x}{4}", r"\frac{x}{2}", C),
        (r"\frac{x^2-1}{x-1}", "x+1", C),
        ("e^{2x}", "(e^x)^2", C),
        ("2^{n+1}", r"2\cdot 2^n", C),
        ("Yes", r"\text{yes}", C),
        ("(B)", "B", C),
        (r"C \text{ or } D", "C", W),
    ];
    check(&cases, grade_boxed);
}

#[test]
fn every_verdict_is_reached() {
    let cases = [
        ("I cannot solve this problem.", "7", Verdict::NoAnswer),
        (r"put the answer in \boxed{}", "7", Verdict::NoAnswer),
        ("", "7", Verdict::NoAnswer),
        (r"\boxed{\frac{1}{}}", "7", Verdict::Unparseable),
        (r"\boxed{5 +}", "7", Verdict::Unparseable),
        (r"\boxed{\frac{1}{0}}", "7", W),
        (r"\boxed{\infty-\infty}", "0", W),
        (r"\boxed{9^9^9^9}", "7", Verdict::OverBudget),
        (r"\boxed{99999999!}", "7", Verdict::OverBudget),
        (r"\boxed{7}", "", Verdict::Infrastructure),
        (r"\boxed{7}", r"\frac{1}{", Verdict::Infrastructure),
        (r"\boxed{7}", r"9^{9^{9^9}}", Verdict::Infrastructure),
    ];
    check(&cases, grade);
    assert_eq!(grade(r"\boxed{7}", "").rule, "gold_unparseable");
    assert_eq!(grade(r"\boxed{7}", "").verdict.reward(), None);
}
