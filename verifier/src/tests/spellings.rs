//! Spellings that other graders' suites hold: names of functions, thousands, decimals, times, segments.

use super::golden::{C, I, W, check};
use super::{grade, grade_boxed};
use crate::Grade;

/// Grades the answer of a row in a box against the gold before it.
fn boxed_after_gold(gold: &str, answer: &str) -> Grade {
    grade_boxed(answer, gold)
}

#[test]
fn one_value_in_several_spellings_is_one_value() {
    let cases = [
        // Inverse functions by their other names.
        (r"\operatorname{asin}{\left(a \right)}", r"\sin^{-1} a", C),
        (r"\operatorname{acosh}(a)", r"\arcosh(a)", C),
        (r"\operatorname{atanh}{\left(a \right)}", r"\tanh^{-1}(a)", C),
        (r"\operatorname{arsinh}(a)", r"\arcsinh(a)", C),
        (r"\arcsin a", r"\operatorname{arsinh}(a)", W),
        (r"\sin(x)", r"\text{sin}(x)", C),
        // Matrices and infinity as programs print them.
        (r"\begin{pmatrix}1&2\\3&4\end{pmatrix}", "[[1, 2], [3, 4]]", C),
        (r"\begin{pmatrix}1&2\\3&4\end{pmatrix}", "[[1, 3], [2, 4]]", W),
        (r"\begin{pmatrix}1&2\\3&4\end{pmatrix}", "[1, 2, 3, 4]", W),
        (r"\begin{pmatrix}1&2\\3&4\end{pmatrix}", "[[1, 2], [3, 4], [5, 6]]", W),
        ("[[1, 2], [3, 4]]", r"\begin{bmatrix}1&2\\3&4\end{bmatrix}", C),
        (r"\infty", "oo", C),
        (r"(-\infty, 2)", "(-oo, 2)", C),
        // Limits from a side.
        (r"\lim_{x \to 3^+} f(x)", r"\lim_{x \Rightarrow 3^{+}} f(x)", C),
        (r"\lim_{x \to 3^+} f(x)", r"\lim_{x → 3} f(x)", C),
        (r"\lim_{x \to 3^-} f(x)", r"\lim_{x \longrightarrow 3^{-}} f(x)", C),
        (r"\lim_{x \to 3^-} f(x)", r"\lim_{x \to 3^+} f(x)", I),
        // The imaginary unit as programs write it, and a logarithm without its base.
        ("-1", r"e^{I\pi}", C),
        ("a+bi", "a+bI", C),
        ("a+bi", "a-bI", W),
        (r"\ln 2", r"\log 2", C),
        (r"\log x + 1", r"\ln x + 1", C),
        (r"\log_2 3", r"\ln 3", W),
        (r"\log_2 3", r"\log 3", W),
        (r"\log 100", "2", C),
        (r"\ln 100", "2", W),
        // A gap between two marks of factorial.
        ("720", "3! !", C),
        ("720", r"3!\,!", C),
        ("3", "3!!", C),
        ("720", "3!!", W),
        // Thousands and decimals.
        ("11111111100", r"11,\! 111,\! 111,\! 100", C),
        ("0.111", "0,111", C),
        ("0,111", "0.111", C),
        ("1.234", "1,234", W),
        (r"\begin{pmatrix} \frac12 \\ 1 \end{pmatrix}", "[0.5, 1]", C),
        (r"\begin{pmatrix} \frac12 \\ 1 \end{pmatrix}", "[1, 0.5]", W),
        // Times of day.
        ("12:00", "1:00", W),
        ("12:00", "12:00", C),
        ("20:34", "20:34:00", C),
        ("20:34:10", "20:34", W),
        ("8:34 p.m.", "20:34:00", C),
        // Degrees beside a variable.
        (r"\cos x", r"\sin(90^\circ - x)", C),
        (r"\cos x", r"\sin(90^\circ + x)", C),
        (r"\cos x", r"\sin(180^\circ - x)", W),
        // Inverses of matrices.
        (
            r"\begin{pmatrix}-2 & 1 \\ 3/2 & -1/2\end{pmatrix}",
            r"\begin{pmatrix}1 & 2 \\ 3 & 4\end{pmatrix}^{-1}",
            C,
        ),
        (
            r"\begin{pmatrix}-2 & 1 \\ 3/2 & 1/2\end{pmatrix}",
            r"\begin{pmatrix}1 & 2 \\ 3 & 4\end{pmatrix}^{-1}",
            W,
        ),
        (
            r"\begin{pmatrix}1 & 0 \\ 0 & 1\end{pmatrix}",
            r"\begin{pmatrix}1 & 2 \\ 2 & 4\end{pmatrix}^{-1}",
            W,
        ),
        (r"\int \frac{3}{t}\, dt", r"\int \frac{3 \cdot dt}{t}", C),
    ];
    check(&cases, boxed_after_gold);
}

#[test]
fn what_a_name_is_given_is_the_answer() {
    let cases = [
        (r"\frac{NO}{BO}=\frac{1}{\sqrt{6}}", r"\frac{1}{\sqrt{6}}", C),
        (r"\frac{NO}{BO}=\frac{1}{\sqrt{6}}", r"\frac{1}{\sqrt{5}}", W),
        ("|AB|=1", "1", C),
        ("|z|=1", "1", W),
        ("x/y=2", "2", W),
        ("11", r"x \approx 11", C),
        ("11", "x ≈ 11", C),
        ("b", r"a \approx b", C),
        (r"\frac{\sqrt3}{3}", r"\frac{\sqrt3}{3} \approx 0.577", C),
        ("x = 11", "x = 5+5+1 = 7 = 11", C),
        ("x = 7", "x = 5+5+1 = 7 = 11", W),
        (r"1\leq|z|\leq \frac{3}{2}", r"z \in [-3/2, -1] \cup [1, 3/2]", C),
        ("|x| < 2", "(-2, 2)", C),
        ("|x| < 2", "(-2, 2]", W),
        ("|x| > 2", r"(-\infty,-2) \cup (2,\infty)", C),
        (r"|x| \ge 0", r"\mathbb{R}", C),
    ];
    check(&cases, boxed_after_gold);
}

#[test]
fn a_sentence_with_one_number_announces_it() {
    let cases = [
        (
            "3",
            "Final Answer: Jane started growing Sphere 3 hours ago. I hope it is correct.",
            C,
        ),
        ("3", "The answer: she has not 3 apples", W),
        ("3", "The answer: she has 3 or more apples", W),
        ("3", "The answer: she has more than 3 apples", W),
        ("3", "The answer: she has 3 thousand apples", W),
        ("3", "The answer: she doesn't have 3 apples", W),
        ("3", "The answer: she has -3 apples", W),
        ("3", "The answer: she has 3 apples and Tom 4", W),
        ("3", "The answer: she has 4 apples", W),
    ];
    for (gold, response, verdict) in cases {
        let graded = grade(response, gold);
        assert_eq!(
            graded.verdict == C,
            verdict == C,
            "{response:?} against {gold:?}: {graded:?}"
        );
    }
}
