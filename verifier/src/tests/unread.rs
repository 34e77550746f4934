//! Golds that are words, and golds that the grader cannot read.

use super::golden::{C, I, W, check};
use super::grade_boxed;

#[test]
fn golds_beyond_the_grammar_are_faults_and_words_are_words() {
    let cases = [
        ("5", r"\int x dx", I),
        ("5", r"\sum_{i} i", I),
        ("5", r"\sum", I),
        ("5", "see solution", W),
        ("see solution", "see solution", C),
        (r"\int x dx", r"\int x dx", C),
        (r"\int x dx", r"\int x\,dx", C),
        ("5", r"\lim_{x\to0} x", I),
        ("5", "Monday", W),
        ("Monday", "Monday", C),
        ("5", "True", W),
        ("true", "True", C),
        ("A", "(A)", C),
        ("5", "(A)", W),
        ("6", r"\prod_{i=1}^3 i", C),
        ("5", r"\prod_{i=1}^3 i", W),
        ("5", r"\unknown", I),
        ("5", r"\nabla f", I),
        ("5", r"\text{Tom}", W),
        ("5", r"\triangle ABC", I),
        (r"\triangle ABC", r"\triangle ABC", C),
        ("5", r"\angle ABC", I),
        ("5", r"a \equiv b \pmod{3}", W),
        ("5", r"2\frac{d}{dx}", I),
        (r"\int x dx", "5", W),
        ("5", "foo^{", I),
        (r"\int_0^1 f", r"\int_0^1 f", C),
        ("see the solution", "5", W),
        ("5", "see the solution", W),
        ("the max", "max", W),
        (r"\text{max}", "the max", W),
        ("Max", "Max", C),
        ("5", "Max and Tom", W),
        ("Max and Tom", "Max and Tom", C),
        ("x=5,y=3", "x=5,y=3", C),
        (r"\text{(A) } 5", "A", C),
        (r"\emptyset", r"\emptyset", C),
        (r"\frac{\text{a}}{b}", r"\frac{\text{a}}{b}", C),
        (r"\mathbb{R}", r"\mathbb{R}", C),
        ("5", r"\iint f", I),
        (r"\iint f", r"\iint  f", C),
        ("5", r"\begin{cases} a \\ b \end{cases}", I),
        ("1.5e4", "15000", C),
        ("2e", "2e", C),
    ];
    check(&cases, grade_boxed);
}
