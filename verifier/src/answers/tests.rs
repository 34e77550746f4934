use super::*;

fn classes(options: &MathOptions, responses: &[&str]) -> Vec<Option<usize>> {
    let mut answers = Answers::new(options);
    responses.iter().map(|response| answers.class_of(response)).collect()
}

#[test]
fn equal_values_share_a_class_in_the_order_of_their_first_answers() {
    let table: [(&[&str], &[Option<usize>]); 5] = [
        (
            &[
                "The answer is 0.5.",
                "\\boxed{3}",
                "so \\boxed{\\frac{1}{2}}",
                "The answer is 3.0",
                "#### 1/2",
            ],
            &[Some(0), Some(1), Some(0), Some(1), Some(0)],
        ),
        (
            &["\\boxed{(1, 2)}", "\\boxed{(2, 1)}", "\\boxed{( 1,2 )}"],
            &[Some(0), Some(1), Some(0)],
        ),
        (
            &["\\boxed{x+y}", "\\boxed{y + x}", "\\boxed{x-y}"],
            &[Some(0), Some(0), Some(1)],
        ),
        (&["no idea at all", "\\boxed{7}"], &[None, Some(0)]),
        (
            &["\\boxed{1{,}000}", "\\boxed{1000}", "\\boxed{10^3}"],
            &[Some(0), Some(0), Some(0)],
        ),
    ];
    for (responses, expected) in table {
        assert_eq!(classes(&MathOptions::default(), responses), expected, "{responses:?}");
    }
}

#[test]
fn strict_options_want_a_box() {
    let strict = MathOptions {
        strict: true,
        ..MathOptions::default()
    };
    assert_eq!(classes(&strict, &["The answer is 5", "\\boxed{5}"]), [None, Some(0)]);
}

#[test]
fn answers_beyond_the_steps_are_the_same_only_by_text() {
    let poor = MathOptions {
        max_steps: 1,
        ..MathOptions::default()
    };
    let found = classes(&poor, &["\\boxed{0.5}", "\\boxed{1/2}", "\\boxed{0.5}", "\\boxed{1/2}"]);
    assert_eq!(found, [Some(0), Some(1), Some(0), Some(1)]);
}

#[test]
fn what_cannot_be_read_is_the_same_as_its_own_text() {
    let found = classes(
        &MathOptions::default(),
        &["\\boxed{\\frac{1}{}", "\\boxed{)(}", "\\boxed{]]}", "\\boxed{)(}"],
    );
    assert_eq!(found[1], found[3]);
    assert_ne!(found[1], found[2]);
}
