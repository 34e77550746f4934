//! Letters of options: chosen in a sentence, named in a gold, standing for the text of the option.

use super::golden::{C, W, check};
use super::grade;
use crate::{MathOptions, grade_math};

#[test]
fn a_sentence_chooses_one_letter() {
    let cases = [
        ("The answer is for sure D, it can't be A or B", "D", C),
        ("The answer: D, it doesn't make sense for it to be A or B", "D", C),
        ("The answer is D or A", "D", W),
        ("The answer is not D", "D", W),
        ("The answer is D, or maybe A", "D", W),
        ("The answer is option (B).", "B", C),
        ("Answer: A", "B", W),
        ("C", "Alina and the answer is\nC Cecile", C),
        ("C", "Alina and the answer is\n(C) Cecile", C),
        ("A", "A Peter\nCelina bum", C),
        ("B", "A Peter\nCelina bum", W),
        ("A", "A man", W),
        (r"\boxed{(x)*(y)}", "x", W),
        (r"\boxed{(x) + 1}", "x", W),
        (r"\boxed{(A) + 1}", "A", W),
        (r"\boxed{(A)*2}", "A", W),
        (r"\boxed{(x) y}", "x", W),
        (r"\boxed{(A) Peter}", "A", C),
        (r"\boxed{**(A)** Peter}", "A", C),
    ];
    check(&cases, grade);
}

#[test]
fn a_letter_stands_for_its_text_where_the_options_are_given() {
    let options = MathOptions {
        choices: vec!["12".into(), r"\frac{1}{2}".into(), "a cat".into()],
        ..MathOptions::default()
    };
    let cases = [
        (r"\boxed{0.5}", "B", C),
        (r"\boxed{12}", "B", W),
        (r"\boxed{B}", r"\frac12", C),
        (r"\boxed{A}", r"\frac12", W),
        (r"\boxed{\text{a cat}}", "C", C),
        (r"\boxed{C}", "a cat", C),
        (r"\boxed{D}", "a cat", W),
        (r"\boxed{B}", "B", C),
    ];
    for (prediction, gold, verdict) in cases {
        let found = grade_math(prediction, gold, &options);
        assert_eq!(found.verdict, verdict, "{prediction} / {gold}: {found:?}");
    }
}
